/** Tells a person what happens in the cluster, from the cluster's own events, and waits for it to be ready. */
import { z } from 'zod'
import type { Mirrors } from '../client/mirrors.ts'
import type { StoredObject } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import { OPERATOR_NAMESPACE, OPERATOR_POD, SAMPLE } from './objects.ts'
import type { Printer } from './printer.ts'

const Pod = z.object({
  status: z
    .object({
      podIP: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
      containerStatuses: z.array(z.object({ restartCount: z.number().default(0) })).default([]),
    })
    .prefault({}),
})

const Cluster = z.object({
  spec: z.object({ replicas: z.number() }),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      leader: z.string().default(''),
      readyReplicas: z.number().default(0),
      voters: z.number().default(0),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(''),
            message: z.string().default(''),
          }),
        )
        .default([]),
    })
    .prefault({}),
})

const ClusterEvent = z.object({
  reason: z.string(),
  note: z.string().default(''),
  regarding: z.object({ kind: z.string().default(''), name: z.string().default('') }).prefault({}),
})

export interface Member {
  readonly name: string
  readonly address: string
  readonly isReady: boolean
}

export interface ClusterView {
  readonly replicas: number
  /** Name of its pod; empty when there is none. */
  readonly leader: string
  /** As many ready members as wanted, each of them a voter, and the operator says so of this very spec. */
  readonly isReady: boolean
  readonly members: readonly Member[]
}

export function viewOf(cluster: StoredObject, pods: readonly StoredObject[]): ClusterView {
  const { spec, status } = Cluster.parse(cluster)
  const members = pods
    .filter(({ metadata }) => metadata.labels?.['raftkv.dev/cluster'] === cluster.metadata.name)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(memberOf)
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
  const saysReady = status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  const isCurrent = status.observedGeneration === cluster.metadata.generation
  const counts = [status.readyReplicas, status.voters, members.filter(({ isReady }) => isReady).length, members.length]
  return {
    replicas: spec.replicas,
    leader: status.leader,
    isReady: saysReady && isCurrent && counts.every((count) => count === spec.replicas),
    members,
  }
}

export function memberOf(pod: StoredObject): Member {
  const { podIP, conditions } = Pod.parse(pod).status
  const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  return { name: pod.metadata.name, address: podIP ?? '', isReady }
}

/** Until `isTrue`, of which it is told at every change; the view it was true of. Rejects when `signal` aborts. */
export async function waitForCluster(
  mirrors: Mirrors,
  isTrue: (view: ClusterView) => boolean,
  signal: AbortSignal,
): Promise<ClusterView> {
  const clusters = mirrors.of(RESOURCES.raftClusters)
  const pods = mirrors.of(RESOURCES.pods)
  const { promise, resolve, reject } = Promise.withResolvers<ClusterView>()
  const look = (): void => {
    const cluster = clusters.get(`${SAMPLE.namespace}/${SAMPLE.name}`)
    if (cluster === undefined) return
    const view = viewOf(cluster, pods.inNamespace(SAMPLE.namespace))
    if (isTrue(view)) resolve(view)
  }
  const abort = (): void => reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  const ends = [clusters.onChange(look), pods.onChange(look)]
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
    for (const end of ends) end()
  }
}

/** To be called now and then: what the operator says keeps the cluster from being ready, once for each reason. */
export function explainWait(mirrors: Mirrors, printer: Printer): () => void {
  let seen = ''
  let told = ''
  return () => {
    const cluster = mirrors.of(RESOURCES.raftClusters).get(`${SAMPLE.namespace}/${SAMPLE.name}`)
    const { conditions } = Cluster.parse(cluster ?? { spec: { replicas: 0 } }).status
    const ready = conditions.find(({ type }) => type === 'Ready')
    const now = ready === undefined || ready.status === 'True' ? '' : `${ready.reason}: ${ready.message}`
    // What passes within one interval is progress, and told by events.
    if (now !== '' && now === seen && now !== told) {
      printer.step(SAMPLE.name, `waits: ${now}`)
      told = now
    }
    seen = now
  }
}

/** Prints every event about the cluster from now on, and each pod that becomes ready. */
export function printProgress(mirrors: Mirrors, printer: Printer, sinceMs: number): void {
  const told = new Set<string>()
  mirrors.of(RESOURCES.events).onChange((object, isGone) => {
    const event = ClusterEvent.safeParse(object)
    const isOld = Date.parse(object.metadata.creationTimestamp ?? '') < sinceMs - 1000
    if (isGone || isOld || !event.success || event.data.regarding.kind !== 'RaftCluster') return
    const { reason, note, regarding } = event.data
    if (told.has(object.metadata.uid)) return
    told.add(object.metadata.uid)
    printer.step(regarding.name, note === '' || note.startsWith(reason) ? note || reason : `${reason}: ${note}`)
  })
  const ready = new Map<string, boolean>()
  mirrors.of(RESOURCES.pods).onChange((object, isGone) => {
    const { namespace, name, uid, deletionTimestamp } = object.metadata
    const isOperator = namespace === OPERATOR_NAMESPACE && name === OPERATOR_POD
    const { address, isReady } = memberOf(object)
    const before = ready.get(uid)
    ready.set(uid, isReady && !isGone && deletionTimestamp === undefined)
    if (isGone) {
      ready.delete(uid)
      printer.step(name, 'is gone')
    } else if (isReady && before === false) printer.step(name, isOperator ? 'works' : `is ready at ${address}`)
  })
}
