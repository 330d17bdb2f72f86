/*
 * lines.h
 *	  Persistent memory, the pool's and a mapped log's, that loses lines of 64 bytes when the power goes.
 */
#ifndef NVMKV_TEST_LINES_H
#define NVMKV_TEST_LINES_H

#include "engine/log/log_map.h"
#include "engine/nvm/device.h"

/* For nvm_device_hook: lines of this device that were not persisted may get lost. */
extern void lines_watch(NvmDevice *dev);

/* For log_map_ops: every log file is mapped; with FAULT_POWER_LINES its lines that were not drained may get lost. */
extern const LogMapOps lines_log;

#endif
