/** Bytes that are not what they claim to be: names the object, the section and the offset in it. */
export class BpfFormatError extends Error {
  readonly code = 'ERR_BPF_FORMAT';
  readonly object: string;
  readonly section: string;
  /** In bytes from the start of the section (of the file where the section is "ELF header"). */
  readonly offset: number;

  constructor(place: { object: string; section: string; offset: number }, problem: string) {
    super(`${place.object}: ${place.section} at offset ${place.offset}: ${problem}`);
    this.name = 'BpfFormatError';
    this.object = place.object;
    this.section = place.section;
    this.offset = place.offset;
  }
}
