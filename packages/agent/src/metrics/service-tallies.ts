import type { ServiceObject } from '@sluice/kube';
import type { FrontendRow } from '@sluice/loadbalancer';
import type { Clock } from '@sluice/runtime';
import type { Table } from '@sluice/state';
import type { Tallies } from './tallies.ts';

/** Counts Services that come, change and go. */
export function countServices(services: Table<ServiceObject>, tallies: Pick<Tallies, 'serviceEvents'>): Disposable {
  return services.subscribe((changes) => {
    for (const { before, after } of changes) {
      tallies.serviceEvents.add([before === undefined ? 'add' : after === undefined ? 'delete' : 'update']);
    }
  });
}

/** Measures from the moment in which a frontend is to change until the kernel has it. A failed attempt goes on counting. */
export function measureFrontends(
  frontends: Table<FrontendRow>,
  { tallies, clock }: { readonly tallies: Pick<Tallies, 'serviceDelay'>; readonly clock: Clock },
): Disposable {
  const waitingSince = new Map<string, bigint>();
  return frontends.subscribe((changes) => {
    for (const { key, before, after } of changes) {
      const since = waitingSince.get(key);
      if (after?.state === 'pending' && since === undefined) waitingSince.set(key, clock.monotonicNs());
      if (after === undefined || after.state === 'done' || after.state === 'off') waitingSince.delete(key);
      if (after?.state !== 'done' || since === undefined) continue;
      const action = before?.id === 0 ? 'add' : 'update';
      tallies.serviceDelay.observe([action], Number(clock.monotonicNs() - since) / 1e9);
    }
  });
}
