/** What a program is, told by the section it stands in: the names are libbpf's. */
import { AttachType, ProgramType } from './program-type.ts';

export interface ProgramKind {
  readonly type: number;
  readonly attachType: number | undefined;
  readonly attachTo: string | undefined;
}

type Row = readonly [section: string, type: number, attachType?: number];

const whole: readonly Row[] = [
  ['tc', ProgramType.schedCls],
  ['tcx/ingress', ProgramType.schedCls, AttachType.tcxIngress],
  ['tcx/egress', ProgramType.schedCls, AttachType.tcxEgress],
  ['xdp', ProgramType.xdp, AttachType.xdp],
  ['xdp.frags', ProgramType.xdp, AttachType.xdp],
  ['cgroup_skb/ingress', ProgramType.cgroupSkb, AttachType.cgroupInetIngress],
  ['cgroup_skb/egress', ProgramType.cgroupSkb, AttachType.cgroupInetEgress],
  ['cgroup/sock_create', ProgramType.cgroupSock, AttachType.cgroupInetSockCreate],
  ['cgroup/sock_release', ProgramType.cgroupSock, AttachType.cgroupInetSockRelease],
  ['cgroup/post_bind4', ProgramType.cgroupSock, AttachType.cgroupInet4PostBind],
  ['cgroup/post_bind6', ProgramType.cgroupSock, AttachType.cgroupInet6PostBind],
  ['cgroup/bind4', ProgramType.cgroupSockAddr, AttachType.cgroupInet4Bind],
  ['cgroup/bind6', ProgramType.cgroupSockAddr, AttachType.cgroupInet6Bind],
  ['cgroup/connect4', ProgramType.cgroupSockAddr, AttachType.cgroupInet4Connect],
  ['cgroup/connect6', ProgramType.cgroupSockAddr, AttachType.cgroupInet6Connect],
  ['cgroup/sendmsg4', ProgramType.cgroupSockAddr, AttachType.cgroupUdp4Sendmsg],
  ['cgroup/sendmsg6', ProgramType.cgroupSockAddr, AttachType.cgroupUdp6Sendmsg],
  ['cgroup/recvmsg4', ProgramType.cgroupSockAddr, AttachType.cgroupUdp4Recvmsg],
  ['cgroup/recvmsg6', ProgramType.cgroupSockAddr, AttachType.cgroupUdp6Recvmsg],
  ['cgroup/getpeername4', ProgramType.cgroupSockAddr, AttachType.cgroupInet4Getpeername],
  ['cgroup/getpeername6', ProgramType.cgroupSockAddr, AttachType.cgroupInet6Getpeername],
  ['cgroup/getsockname4', ProgramType.cgroupSockAddr, AttachType.cgroupInet4Getsockname],
  ['cgroup/getsockname6', ProgramType.cgroupSockAddr, AttachType.cgroupInet6Getsockname],
  ['sockops', ProgramType.sockOps, AttachType.cgroupSockOps],
  ['sk_lookup', ProgramType.skLookup, AttachType.skLookup],
  ['socket', ProgramType.socketFilter],
  ['syscall', ProgramType.syscall],
];

/** These are followed by a slash and a name. */
const prefixed: readonly Row[] = [
  ['iter', ProgramType.tracing, AttachType.traceIter],
  ['fentry', ProgramType.tracing, AttachType.traceFentry],
  ['fexit', ProgramType.tracing, AttachType.traceFexit],
  ['tp_btf', ProgramType.tracing, AttachType.traceRawTracepoint],
  ['raw_tp', ProgramType.rawTracepoint],
  ['raw_tracepoint', ProgramType.rawTracepoint],
  ['kprobe', ProgramType.kprobe],
  ['kretprobe', ProgramType.kprobe],
  ['tp', ProgramType.tracepoint],
  ['tracepoint', ProgramType.tracepoint],
];

/** Undefined for a section whose name says nothing to us. */
export function programKind(section: string): ProgramKind | undefined {
  const exact = whole.find(([name]) => name === section);
  if (exact !== undefined) return { type: exact[1], attachType: exact[2], attachTo: undefined };
  const slash = section.indexOf('/');
  const row = prefixed.find(([name]) => name === section.slice(0, slash));
  const attachTo = section.slice(slash + 1);
  if (row === undefined || attachTo === '') return undefined;
  return { type: row[1], attachType: row[2], attachTo };
}
