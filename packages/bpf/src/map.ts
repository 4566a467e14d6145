import { readFileSync } from 'node:fs';
import { close } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command } from './kernel-constants.ts';
import { nameAt, openById, readObjectInfo } from './object-info.ts';
import { openPin, pinObject } from './pin.ts';
import type { MapSpec } from './spec.ts';

/** What the kernel says about a map. */
export interface MapInfo {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  /** Of one CPU's value, where each CPU has its own. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** 0 where the map was made without BTF. */
  readonly btfId: number;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

/** How to create a map: as in an object, the types being optional. */
export type MapCreateSpec = Omit<MapSpec, 'flags' | 'extra' | 'keyTypeId' | 'valueTypeId'> &
  Partial<Pick<MapSpec, 'flags' | 'extra' | 'keyTypeId' | 'valueTypeId'>>;

/** A map in the kernel. Disposing closes this descriptor; the map lives while pins, programs or others refer to it. */
export class BpfMap implements Disposable {
  readonly fd: number;
  readonly info: MapInfo;
  #open = true;

  private constructor(fd: number) {
    this.fd = fd;
    this.info = readMapInfo(fd);
  }

  /** `btfFd` gives the key and value types of the spec a meaning; needed by socket storage. */
  static create(spec: MapCreateSpec, btfFd = 0): BpfMap {
    const hasTypes = btfFd > 0 && ((spec.keyTypeId ?? 0) !== 0 || (spec.valueTypeId ?? 0) !== 0);
    const attributes = new Attributes(72)
      .u32(0, spec.type)
      .u32(4, spec.keySize)
      .u32(8, spec.valueSize)
      .u32(12, spec.maxEntries)
      .u32(16, spec.flags ?? 0)
      .name(28, spec.name)
      .u32(48, hasTypes ? btfFd : 0)
      .u32(52, hasTypes ? (spec.keyTypeId ?? 0) : 0)
      .u32(56, hasTypes ? (spec.valueTypeId ?? 0) : 0)
      .u64(64, BigInt(spec.extra ?? 0));
    return new BpfMap(attributes.call(Command.mapCreate, `create map ${spec.name}`));
  }

  static openPinned(path: string): BpfMap {
    return new BpfMap(openPin(path, 'map'));
  }

  static openById(id: number): BpfMap {
    return new BpfMap(openById(Command.mapGetFdById, id));
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  /** User space may no longer write; the verifier takes the contents of a frozen read-only map as constants. */
  freeze(): void {
    new Attributes(4).u32(0, this.fd).call(Command.mapFreeze, `freeze map ${this.info.name}`);
  }

  /** Kernel memory that the map is charged for, in bytes. */
  memoryBytes(): number {
    const text = readFileSync(`/proc/self/fdinfo/${this.fd}`, 'utf8');
    return Number(/^memlock:\s*(\d+)/m.exec(text)?.[1] ?? 0);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fd);
  }
}

function readMapInfo(fd: number): MapInfo {
  const info = new Attributes(88);
  readObjectInfo(fd, info);
  return {
    type: info.getU32(0),
    id: info.getU32(4),
    keySize: info.getU32(8),
    valueSize: info.getU32(12),
    maxEntries: info.getU32(16),
    flags: info.getU32(20),
    name: nameAt(info, 24),
    btfId: info.getU32(64),
    keyTypeId: info.getU32(68),
    valueTypeId: info.getU32(72),
  };
}
