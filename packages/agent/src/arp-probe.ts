import { AddressFamily, bind, close, MessageFlag, packetAddress, recv, SocketType, sendto, socket } from '@sluice/ffi';
import { type Address, EtherType, type Mac, packet, parseMac, parsePacket } from '@sluice/net';
import { type Clock, sleep } from '@sluice/runtime';

/** Whom to ask about which addresses. */
export interface ArpQuestion {
  readonly ifindex: number;
  readonly mac: Mac;
  readonly addresses: readonly Address[];
  /** Our own devices may answer for each other (arp_ignore is 0 by default): that is no conflict. */
  readonly ownMacs: ReadonlySet<Mac>;
}

const broadcast = parseMac('ff:ff:ff:ff:ff:ff');
const nobody = parseMac('00:00:00:00:00:00');
/** A neighbour answers within milliseconds. */
const waitMs = 300;
/** Frames looked at: more than so many ARP packets in the wait are a storm, and the next look comes. */
const framesMax = 1_000;
const frameBytesMax = 128;

/**
 * Asks a device's network who has our IPv4 addresses, as a probe of RFC 5227 (section 2.1.1): with no sender address, so
 * that nobody's cache learns anything from it. Gives those that somebody else claims, with the claimant.
 */
export async function probeAddresses(question: ArpQuestion, clock: Clock): Promise<Map<Address, Mac>> {
  const fd = socket(AddressFamily.PACKET, SocketType.RAW, 0, { nonBlocking: true });
  try {
    const link = packetAddress({ ifindex: question.ifindex, ethertype: EtherType.arp });
    bind(fd, link);
    for (const address of question.addresses) sendto(fd, probeOf(question.mac, address), link);
    await sleep(clock, waitMs);
    return claims(fd, question);
  } finally {
    close(fd);
  }
}

function probeOf(senderMac: Mac, targetAddress: Address): Uint8Array {
  return packet()
    .ethernet({ source: senderMac, destination: broadcast })
    .arp({ operation: 1, senderMac, senderAddress: '0.0.0.0', targetMac: nobody, targetAddress })
    .payload();
}

/** Whatever says that it has one of the addresses: answers, and what others happen to send meanwhile. */
function claims(fd: number, { addresses, ownMacs }: ArpQuestion): Map<Address, Mac> {
  const found = new Map<Address, Mac>();
  const buffer = new Uint8Array(frameBytesMax);
  for (let frames = 0; frames < framesMax; frames += 1) {
    const length = recv(fd, buffer, MessageFlag.DONTWAIT);
    if (length === undefined) return found;
    const { arp } = parsePacket(buffer.subarray(0, Math.min(length, frameBytesMax)));
    const address = addresses.find((candidate) => candidate === arp?.senderAddress);
    if (arp !== undefined && address !== undefined && !ownMacs.has(arp.senderMac)) found.set(address, arp.senderMac);
  }
  return found;
}
