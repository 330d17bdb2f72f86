/*
 * port_guard.c
 *	  See port_guard.h; the same for both hosts.
 *
 * The list of guards is read by the signal handler, so it is an array of
 * pointers that are stored whole.  The handler calls mmap and sigaction only,
 * and keeps errno.  Threads may fault at the same time: each notes its page, a
 * page that is noted twice does no harm.
 */
#include "engine/port/port_guard.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pools, logs, and the tables that are read through maps. */
#define GUARDS_MAX 4096

static PortGuard *guards[GUARDS_MAX];
static uint64_t page_bytes;
static struct sigaction previous;
static bool installed;

/* false: no page could be put there. */
static bool
replace_page(PortGuard *guard, uint64_t offset)
{
	uint32_t i = port_fetch_add(&guard->lost, 1);

	if (i < PORT_GUARD_PAGES)
		port_store_release(&guard->pages[i], offset + 1);
	else
		port_store_release(&guard->lost, PORT_GUARD_PAGES + 1); /* never wraps */
	return mmap(guard->base + offset, (size_t) page_bytes, guard->writable ? PROT_READ | PROT_WRITE : PROT_READ,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static bool
handle(const void *address)
{
	unsigned i;

	for (i = 0; i < GUARDS_MAX; i++)
	{
		PortGuard *guard = port_load_acquire(&guards[i]);
		uint64_t at;

		if (guard == NULL)
			continue;
		at = (uint64_t) (uintptr_t) address - (uint64_t) (uintptr_t) guard->base;
		if (at < guard->bytes)
			return replace_page(guard, at / page_bytes * page_bytes);
	}
	return false;
}

static void
on_sigbus(int signal_number, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (!handle(info->si_addr))
	{
		if ((previous.sa_flags & SA_SIGINFO) != 0)
			previous.sa_sigaction(signal_number, info, context);
		else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
			previous.sa_handler(signal_number);
		else
			(void) sigaction(SIGBUS, &previous, NULL); /* and the instruction faults once more */
	}
	errno = saved_errno;
}

NvmkvStatus
port_guard_install(void)
{
	struct sigaction action;

	if (installed)
		return NVMKV_OK;
	page_bytes = (uint64_t) sysconf(_SC_PAGESIZE);
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_sigbus;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	(void) sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &previous) != 0)
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "could not install a handler for SIGBUS");
	installed = true;
	return NVMKV_OK;
}

bool
port_guard_add(PortGuard *guard, void *base, uint64_t bytes, bool writable)
{
	unsigned i;

	memset(guard, 0, sizeof(*guard));
	guard->base = base;
	guard->bytes = bytes;
	guard->writable = writable;
	for (i = 0; i < GUARDS_MAX; i++)
	{
		PortGuard *none = NULL;

		if (port_load_relaxed(&guards[i]) == NULL &&
			__atomic_compare_exchange_n(&guards[i], &none, guard, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return installed;
	}
	return false;
}

void
port_guard_remove(PortGuard *guard)
{
	unsigned i;

	for (i = 0; i < GUARDS_MAX; i++)
		if (port_load_acquire(&guards[i]) == guard)
			port_store_release(&guards[i], NULL);
}

bool
port_guard_lost_in(const PortGuard *guard, uint64_t offset, uint64_t size)
{
	uint32_t lost = port_guard_lost(guard);
	uint32_t i;

	for (i = 0; i < lost && i < PORT_GUARD_PAGES; i++)
	{
		uint64_t page = port_load_acquire(&guard->pages[i]);

		if (page == 0 || (page - 1 < offset + size && page - 1 + page_bytes > offset))
			return true;
	}
	return lost > PORT_GUARD_PAGES;
}
