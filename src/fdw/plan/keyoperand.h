/*
 * keyoperand.h
 *	  A value a key column is compared with, in the column's own domain.
 *
 * Operator families compare across types (int8 = int4, date < timestamp, real = double precision).  Key bytes
 * exist only for values of the column's type, so the other type's value is first brought there, and what could not
 * be kept exactly is said.
 */
#ifndef NVMKV_FDW_KEYOPERAND_H
#define NVMKV_FDW_KEYOPERAND_H

#include "lib/stringinfo.h"

#include "fdw/table/table.h"

/* What key bytes can say about "column <op> value of that type". */
typedef enum NvmkvOperandSupport
{
	NVMKV_OPERAND_NONE,	 /* nothing: the condition stays a filter */
	NVMKV_OPERAND_LOSSY, /* bounds that hold all matching rows: the condition stays a filter too */
	NVMKV_OPERAND_FULL	 /* exactly the matching rows */
} NvmkvOperandSupport;

typedef enum NvmkvOperandKind
{
	NVMKV_OPERAND_EXACT,	  /* "value" is the comparison value */
	NVMKV_OPERAND_ROUNDED,	  /* no column value equals it; "value" is the largest one below it */
	NVMKV_OPERAND_AROUND,	  /* it lies somewhere in ["value", "above"] */
	NVMKV_OPERAND_BELOW_ALL, /* it is smaller than every column value */
	NVMKV_OPERAND_ABOVE_ALL  /* it is greater than every column value */
} NvmkvOperandKind;

typedef struct NvmkvOperand
{
	NvmkvOperandKind kind;
	Oid type; /* of value and above: the column's, or one with the same key bytes */
	Datum value;
	Datum above; /* AROUND only */
} NvmkvOperand;

extern NvmkvOperandSupport nvmkv_operand_support(const NvmkvKeyColumn *col, Oid type);

/* REQUIRES nvmkv_operand_support(col, type) != NONE; value is not NULL. */
extern NvmkvOperand nvmkv_operand_convert(const NvmkvKeyColumn *col, Oid type, Datum value);

/* Appends the key bytes of a converted value (operand.type). */
extern void nvmkv_operand_append(const NvmkvKeyColumn *col, Oid type, Datum value, StringInfo buf);

#endif
