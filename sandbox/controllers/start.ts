/**
 * The control loops that a cluster needs and an API server does not have. Each is an HTTP client of the API server and
 * nothing else; each is level-based: it compares what is with what should be, whatever events it has missed.
 *
 * What they do is what the operator relies on, not all that Kubernetes does: no Deployments, Jobs or autoscaling, no
 * resource accounting.
 */
import { startDisruptionBudgets } from './disruption-budgets.ts'
import { startEndpoints } from './endpoints.ts'
import { startGarbageCollector } from './garbage-collector.ts'
import type { Loop, Sandbox } from './loop.ts'
import { startNamespaces } from './namespaces.ts'
import { startScheduler } from './scheduler.ts'
import { startStatefulSets } from './stateful-set/controller.ts'
import { Universe } from './universe.ts'
import { startVolumes } from './volumes.ts'

export interface Controllers {
  stop(): Promise<void>
}

export interface ControllersOptions extends Sandbox {
  /** Where volumes are made. */
  readonly volumesDirectory: string
}

/** Resolves when all of them work. */
export async function startControllers(options: ControllersOptions): Promise<Controllers> {
  const universe = new Universe(options)
  await universe.start()
  const loops: readonly Loop[] = [
    await startNamespaces(options, universe),
    ...(await startVolumes(options, options.volumesDirectory)),
    await startStatefulSets(options),
    await startScheduler(options),
    await startDisruptionBudgets(options),
    await startEndpoints(options),
    startGarbageCollector(options, universe),
  ]
  return {
    stop: async () => {
      universe.stop()
      await Promise.all(loops.map(async (loop) => loop.stop()))
    },
  }
}
