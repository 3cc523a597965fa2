/*
 * The rule that makes integers turns (bitcast a) op (bitcast b) into a bitcast of (a op b); the one
 * that makes lanes looks into an integer that is cast to them, and finds the first one's work where
 * there is a constant of all ones in it ("not"), or what were lanes before.
 *
 * So masks made of integers only are made with integers here, and the first rule finds none of them
 * in vectors. And integers that were computed become lanes behind an empty piece of assembly, into
 * which the second rule cannot look. That costs a move between two kinds of registers at most,
 * which no benchmark shows.
 */
#include "softgpu/jit/masks.h"

#include <llvm-c/Core.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

/* A vector of 8, 16, 32... i1, which has an integer's size. */
static bool is_mask(LLVMValueRef value)
{
	LLVMTypeRef type = LLVMTypeOf(value);

	return LLVMGetTypeKind(type) == LLVMVectorTypeKind &&
	       LLVMGetTypeKind(LLVMGetElementType(type)) == LLVMIntegerTypeKind &&
	       LLVMGetIntTypeWidth(LLVMGetElementType(type)) == 1 && LLVMGetVectorSize(type) >= 8 &&
	       is_power_of_two(LLVMGetVectorSize(type));
}

static LLVMTypeRef integer_type(LLVMValueRef mask)
{
	LLVMTypeRef type = LLVMTypeOf(mask);

	return LLVMIntTypeInContext(LLVMGetTypeContext(type), LLVMGetVectorSize(type));
}

static bool is_constant(LLVMValueRef value)
{
	return LLVMIsAConstantDataVector(value) || LLVMIsAConstantVector(value) ||
	       LLVMIsAConstantAggregateZero(value);
}

/* Whatever a lane without a value is, 0 will do. */
static LLVMValueRef bits_of_constant(LLVMValueRef mask)
{
	uint64_t words[4] = {0};
	unsigned width = LLVMGetVectorSize(LLVMTypeOf(mask));

	for (unsigned i = 0; i < width; i++) {
		LLVMValueRef lane = LLVMGetAggregateElement(mask, i);

		if (lane && LLVMIsAConstantInt(lane))
			words[i / 64] |= LLVMConstIntGetZExtValue(lane) << i % 64;
	}
	return LLVMConstIntOfArbitraryPrecision(integer_type(mask), (width + 63) / 64, words);
}

/* The integer that a mask was made from, or NULL. */
static LLVMValueRef bits_of(LLVMValueRef mask)
{
	if (is_constant(mask) && LLVMGetVectorSize(LLVMTypeOf(mask)) <= 256)
		return bits_of_constant(mask);
	if (LLVMIsABitCastInst(mask) &&
	    LLVMGetTypeKind(LLVMTypeOf(LLVMGetOperand(mask, 0))) == LLVMIntegerTypeKind)
		return LLVMGetOperand(mask, 0);
	return NULL;
}

static LLVMValueRef settle_logic(LLVMBuilderRef builder, LLVMValueRef logic)
{
	LLVMValueRef a = bits_of(LLVMGetOperand(logic, 0)), b = bits_of(LLVMGetOperand(logic, 1));

	return a && b ? LLVMBuildBinOp(builder, LLVMGetInstructionOpcode(logic), a, b, "") : NULL;
}

/* A choice is made of logic, too. The side that is not chosen may have no value. */
static LLVMValueRef settle_select(LLVMBuilderRef builder, LLVMValueRef select)
{
	LLVMValueRef bits[3], chosen, other;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		LLVMValueRef mask = LLVMGetOperand(select, i);

		bits[i] = is_mask(mask) ? bits_of(mask) : NULL;
		if (!bits[i])
			return NULL;
	}
	chosen = LLVMBuildAnd(builder, bits[0], LLVMBuildFreeze(builder, bits[1], ""), "");
	other = LLVMBuildAnd(
	    builder, LLVMBuildNot(builder, bits[0], ""), LLVMBuildFreeze(builder, bits[2], ""), "");
	return LLVMBuildOr(builder, chosen, other, "");
}

static LLVMValueRef settle(LLVMBuilderRef builder, LLVMValueRef instruction)
{
	switch (LLVMGetInstructionOpcode(instruction)) {
	case LLVMAnd:
	case LLVMOr:
	case LLVMXor:
		return settle_logic(builder, instruction);
	case LLVMSelect:
		return settle_select(builder, instruction);
	default:
		return NULL;
	}
}

/* True if it changed something. */
static bool settle_block(LLVMBuilderRef builder, LLVMBasicBlockRef block)
{
	LLVMValueRef next;
	bool changed = false;

	for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = next) {
		LLVMValueRef bits;

		next = LLVMGetNextInstruction(at);
		if (!is_mask(at))
			continue;
		LLVMPositionBuilderBefore(builder, at);
		bits = settle(builder, at);
		if (!bits)
			continue;
		LLVMReplaceAllUsesWith(at, LLVMBuildBitCast(builder, bits, LLVMTypeOf(at), ""));
		LLVMInstructionEraseFromParent(at);
		changed = true;
	}
	return changed;
}

static bool settle_function(LLVMBuilderRef builder, LLVMValueRef function)
{
	bool changed = false;

	for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block;
	    block = LLVMGetNextBasicBlock(block))
		changed |= settle_block(builder, block);
	return changed;
}

/* Does the second rule look into how bits were made? */
static bool is_made_of_bits(LLVMValueRef bits)
{
	if (!LLVMIsAInstruction(bits))
		return false;
	switch (LLVMGetInstructionOpcode(bits)) {
	case LLVMAnd:
	case LLVMOr:
	case LLVMXor:
	case LLVMShl:
	case LLVMTrunc:
	case LLVMZExt:
		return true;
	default:
		return false;
	}
}

static bool is_wanted(LLVMValueRef at)
{
	return LLVMIsABitCastInst(at) && is_mask(at) && is_made_of_bits(LLVMGetOperand(at, 0)) &&
	       LLVMGetVectorSize(LLVMTypeOf(at)) <= 64;
}

static void hide(LLVMBuilderRef builder, LLVMValueRef at)
{
	LLVMValueRef bits = LLVMGetOperand(at, 0), assembly;
	LLVMTypeRef type = LLVMTypeOf(bits), function = LLVMFunctionType(type, &type, 1, false);

	LLVMPositionBuilderBefore(builder, at);
	assembly = LLVMGetInlineAsm(
	    function, "", 0, "=r,0", 4, false, false, LLVMInlineAsmDialectATT, false);
	LLVMSetOperand(at, 0, LLVMBuildCall2(builder, function, assembly, &bits, 1, ""));
}

void masks_settle(LLVMModuleRef module)
{
	LLVMBuilderRef builder = LLVMCreateBuilderInContext(LLVMGetModuleContext(module));

	/* Again where a block stands before one that it follows. */
	for (LLVMValueRef function = LLVMGetFirstFunction(module); function;
	    function = LLVMGetNextFunction(function))
		while (settle_function(builder, function))
			;
	for (LLVMValueRef function = LLVMGetFirstFunction(module); function;
	    function = LLVMGetNextFunction(function))
		for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block;
		    block = LLVMGetNextBasicBlock(block))
			for (LLVMValueRef at = LLVMGetFirstInstruction(block); at;
			    at = LLVMGetNextInstruction(at))
				if (is_wanted(at))
					hide(builder, at);
	LLVMDisposeBuilder(builder);
}
