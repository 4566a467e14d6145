import { checked, libcFunction } from './libc.ts';

const nativeAdjtimex = libcFunction('int adjtimex(void *buffer)');

/** What the kernel knows of its own clock (adjtimex(2)). */
export interface ClockState {
  /** False: nobody keeps it right, or not for 16 seconds' worth of drift. */
  readonly isSynchronised: boolean;
  /** The most that it may be off, by its keeper's estimate. */
  readonly errorMaxMs: number;
}

// struct timex on 64-bit machines: modes 0, maxerror (us) 24, status 40; 208 bytes.
const timexBytes = 208;
const STA_UNSYNC = 0x40;

/** Only reads: modes is 0, so nothing is adjusted. */
export function clockState(): ClockState {
  const timex = new Uint8Array(timexBytes);
  checked(nativeAdjtimex(timex), 'adjtimex');
  const view = new DataView(timex.buffer);
  return {
    isSynchronised: (view.getInt32(40, true) & STA_UNSYNC) === 0,
    errorMaxMs: Number(view.getBigInt64(24, true) / 1000n),
  };
}
