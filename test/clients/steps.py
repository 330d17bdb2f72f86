"""Functions as steps, for the programs of scripts/client_tests.sh: prints the name of each, and what is raised as a failure."""
import traceback


def first_line(error):
	return str(error).split("\n")[0]


def step(name):
	def run(function):
		print("#", name, flush=True)
		try:
			function()
		except Exception as error:
			traceback.print_exc()
			print("FAILED:", type(error).__name__, first_line(error))
		return function

	return run


def error_of(function, kind, cause):
	"""What a statement is to be refused with: an error of that kind, and the driver's that cause() finds in it."""
	try:
		function()
	except kind as error:
		by_driver = cause(error)
		print(type(error).__name__, by_driver.pgcode, by_driver.diag.constraint_name, first_line(by_driver))
	else:
		print("FAILED: no error")
