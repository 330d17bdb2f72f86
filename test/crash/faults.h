/*
 * faults.h
 *	  What the fault of a life does when its moment comes.  Without a fault it is noted what could have failed.
 */
#ifndef NVMKV_TEST_FAULTS_H
#define NVMKV_TEST_FAULTS_H

#include <stdbool.h>

extern bool fault_recovering; /* a database is being opened again */
extern bool fault_over;		  /* a passing failure has passed */

/* In the child: from here on the files are lossy, and the fault waits for its moment. */
extern void faults_arm(void);

#endif
