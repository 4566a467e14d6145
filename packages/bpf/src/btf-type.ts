/** The types of BTF (Documentation/bpf/btf.rst), decoded. A type is named by its id; 0 is void. */
export interface BtfMember {
  /** Empty for an anonymous struct or union inside. */
  readonly name: string;
  readonly typeId: number;
  readonly bitOffset: number;
  /** 0: not a bitfield. */
  readonly bitfieldSize: number;
}

export interface BtfEnumValue {
  readonly name: string;
  readonly value: bigint;
}

export interface BtfParameter {
  readonly name: string;
  readonly typeId: number;
}

export interface BtfSectionVariable {
  readonly typeId: number;
  readonly offset: number;
  readonly size: number;
}

export type BtfLinkage = 'static' | 'global' | 'extern';

interface Common {
  readonly id: number;
  readonly name: string;
}

export type BtfInt = Common & {
  readonly kind: 'int';
  readonly size: number;
  readonly bits: number;
  readonly signed: boolean;
  readonly bool: boolean;
};
export type BtfComposite = Common & {
  readonly kind: 'struct' | 'union';
  readonly size: number;
  readonly members: readonly BtfMember[];
};
export type BtfEnum = Common & {
  readonly kind: 'enum';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly BtfEnumValue[];
};
export type BtfArray = Common & { readonly kind: 'array'; readonly elementTypeId: number; readonly length: number };
export type BtfModifier = Common & {
  readonly kind: 'typedef' | 'const' | 'volatile' | 'restrict' | 'type-tag';
  readonly typeId: number;
};
export type BtfFunction = Common & {
  readonly kind: 'function';
  readonly linkage: BtfLinkage;
  readonly typeId: number;
};
export type BtfVariable = Common & {
  readonly kind: 'variable';
  readonly linkage: BtfLinkage;
  readonly typeId: number;
};
export type BtfSection = Common & {
  readonly kind: 'section';
  readonly size: number;
  readonly variables: readonly BtfSectionVariable[];
};

export type BtfType =
  | (Common & { readonly kind: 'void' })
  | BtfInt
  | (Common & { readonly kind: 'float'; readonly size: number })
  | (Common & { readonly kind: 'pointer'; readonly typeId: number })
  | BtfArray
  | BtfComposite
  | BtfEnum
  | (Common & { readonly kind: 'forward'; readonly union: boolean })
  | BtfModifier
  | BtfFunction
  | (Common & {
      readonly kind: 'prototype';
      readonly returnTypeId: number;
      readonly parameters: readonly BtfParameter[];
    })
  | BtfVariable
  | BtfSection
  | (Common & { readonly kind: 'declaration-tag'; readonly typeId: number; readonly component: number });

export type BtfKind = BtfType['kind'];

/** enum BTF_KIND_*; enum64 (19) is an `enum` of size 8 here. */
export const btfKinds: readonly BtfKind[] = [
  'void',
  'int',
  'pointer',
  'array',
  'struct',
  'union',
  'enum',
  'forward',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'function',
  'prototype',
  'variable',
  'section',
  'float',
  'declaration-tag',
  'type-tag',
  'enum',
];
