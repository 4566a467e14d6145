import type { Row } from './row.ts';
import { agentDeath } from './rows/agent-death.ts';
import { agentLoad } from './rows/agent-load.ts';
import { agentStart } from './rows/agent-start.ts';
import { churn } from './rows/churn.ts';
import { cni } from './rows/cni.ts';
import { cniKills } from './rows/cni-kills.ts';
import { dependencies } from './rows/dependencies.ts';
import { endpointChange } from './rows/endpoint-change.ts';
import { forwarded } from './rows/forwarded.ts';
import { fullSync } from './rows/full-sync.ts';
import { identities } from './rows/identities.ts';
import { kubeProxy } from './rows/kube-proxy.ts';
import { liveSocketsRow } from './rows/live-sockets.ts';
import { maglev } from './rows/maglev.ts';
import { masquerade } from './rows/masquerade.ts';
import { masqueradePorts } from './rows/masquerade-ports.ts';
import { nodePort } from './rows/node-port.ts';
import { overlay } from './rows/overlay.ts';
import { overlayProfile } from './rows/overlay-profile.ts';
import { overload } from './rows/overload.ts';
import { programCost } from './rows/program-cost.ts';
import { serviceConnect } from './rows/service-connect.ts';
import { servicesFlat } from './rows/services-flat.ts';
import { udpConnect } from './rows/udp-connect.ts';

/** In the order in which they run and stand in the results. */
export const rows: readonly Row[] = [
  serviceConnect,
  servicesFlat,
  kubeProxy,
  nodePort,
  udpConnect,
  overlay,
  masquerade,
  masqueradePorts,
  programCost,
  forwarded,
  cni,
  cniKills,
  endpointChange,
  fullSync,
  maglev,
  liveSocketsRow,
  churn,
  agentLoad,
  agentStart,
  agentDeath,
  overload,
  identities,
  dependencies,
  overlayProfile,
];
