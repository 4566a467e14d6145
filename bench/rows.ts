import type { Row } from './row.ts';
import { agentLoad } from './rows/agent-load.ts';
import { agentStart } from './rows/agent-start.ts';
import { kubeProxy } from './rows/kube-proxy.ts';
import { overlay } from './rows/overlay.ts';
import { serviceConnect } from './rows/service-connect.ts';
import { udpConnect } from './rows/udp-connect.ts';

/** In the order in which they run and stand in the results. */
export const rows: readonly Row[] = [serviceConnect, kubeProxy, udpConnect, overlay, agentLoad, agentStart];
