/** The few facts about instructions that linking needs (Documentation/bpf/standardization/instruction-set.rst). */
/** `src_reg` of ld_imm64 and call instructions: what the immediate means. */
export const PseudoSource = { mapFd: 1, mapValue: 2, function: 4, call: 1, kfuncCall: 2 } as const;

export const INSTRUCTION_BYTES = 8;
export const OPCODE_LD_IMM64 = 0x18;
export const OPCODE_CALL = 0x85;
