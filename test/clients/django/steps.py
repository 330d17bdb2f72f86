"""Runs functions as steps: prints the name, and what is raised as a failure."""
import traceback

from django.db import Error


def step(name):
	def run(function):
		print("#", name, flush=True)
		try:
			function()
		except Exception as error:
			traceback.print_exc()
			print("FAILED:", type(error).__name__, str(error).split("\n")[0])
		return function

	return run


def error_of(function):
	"""What a statement is to be refused with."""
	try:
		function()
	except Error as error:
		cause = error.__cause__
		print(type(error).__name__, cause.pgcode, cause.diag.constraint_name, str(error).split("\n")[0])
	else:
		print("FAILED: no error")
