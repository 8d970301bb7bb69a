/**
 * Writes down, all through the scenario, what can be seen from outside: the RaftCluster's status and the volumes by
 * watches, and what every member says about itself, asked again and again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { ConfigHistoryRow } from '../../../lib/admin-api.ts'
import type { ClusterSeen } from '../checks/conditions.ts'
import type { ToldHistory } from '../checks/configurations.ts'
import type { VolumeSeen } from '../checks/volumes.ts'
import { ADMIN_PORT, PATHS } from '../names.ts'
import type { Kube } from './kube.ts'
import { parseRaftCluster, seen } from './raft-cluster.ts'

const POLL_MS = 100
const POLL_LIMIT_MS = 2000

const Row = z.object({
  index: z.number(),
  voters: z.array(z.string()),
  votersOutgoing: z.array(z.string()),
  learners: z.array(z.string()),
  operationId: z.string(),
})
const Status = z.object({
  memberId: z.string(),
  name: z.string(),
  role: z.string(),
  leader: z.string(),
  configIndex: z.number(),
  revision: z.number(),
  members: z.array(z.object({ id: z.string(), name: z.string() })),
  configHistory: z.array(Row),
})

const Ended = z.object({
  status: z.object({
    containerStatuses: z.array(z.object({ lastState: z.object({ terminated: z.object({ exitCode: z.number() }) }) })),
  }),
})

export type MemberStatus = z.output<typeof Status>

export interface Restart {
  readonly pod: string
  readonly uid: string
  readonly exitCode: number
}

export interface Recording {
  /** Containers of members that ended and were started again. */
  readonly restarts: ReadonlyMap<string, Restart>
  readonly clusters: readonly ClusterSeen[]
  readonly volumes: readonly VolumeSeen[]
  readonly histories: readonly ToldHistory[]
  /** When a configuration was first seen, by its index. */
  readonly configSeenAtMs: ReadonlyMap<number, number>
  /** Names of members, by ID. */
  readonly memberNames: ReadonlyMap<string, string>
}

export interface Recorder {
  readonly recording: Recording
  stop(): Promise<void>
}

export function startRecorder(kube: Kube): Recorder {
  const restarts = new Map<string, Restart>()
  const clusters: ClusterSeen[] = []
  const volumes: VolumeSeen[] = []
  const latest = new Map<string, readonly ConfigHistoryRow[]>()
  const histories: ToldHistory[] = []
  const configSeenAtMs = new Map<number, number>()
  const memberNames = new Map<string, string>()
  const stopping = new AbortController()

  kube.watch(PATHS.clusters, (object, isGone) => {
    if (!isGone) clusters.push(seen(parseRaftCluster(object), Date.now()))
  })
  kube.watch(PATHS.volumes, ({ metadata }, isGone) => {
    const isGoing = isGone || metadata.deletionTimestamp !== undefined
    volumes.push({ atMs: Date.now(), name: metadata.name, uid: metadata.uid, isGoing })
  })

  kube.watch(PATHS.pods, (pod) => {
    const { name, uid } = pod.metadata
    const ended = Ended.safeParse(pod).data?.status.containerStatuses[0]?.lastState.terminated
    if (ended !== undefined) restarts.set(uid, { pod: name, uid, exitCode: ended.exitCode })
  })

  const note = (status: MemberStatus): void => {
    for (const { id, name } of status.members) if (name !== '') memberNames.set(id, name)
    for (const { index } of status.configHistory) {
      if (!configSeenAtMs.has(index)) configSeenAtMs.set(index, Date.now())
    }
    const before = latest.get(status.memberId)
    if (JSON.stringify(before) === JSON.stringify(status.configHistory)) return
    latest.set(status.memberId, status.configHistory)
    histories.push({ member: `${status.name} (${status.memberId})`, rows: status.configHistory })
  }
  // Each member at its own pace: one that does not answer must not hide for a while what the others say.
  const asking = new Map<string, Promise<void>>()
  const ask = async (pod: string): Promise<void> => {
    const status = await memberStatus(kube, pod)
    if (status !== undefined) note(status)
    asking.delete(pod)
  }
  const polling = (async () => {
    while (!stopping.signal.aborted) {
      for (const pod of await memberPods(kube)) if (!asking.has(pod)) asking.set(pod, ask(pod))
      await sleep(POLL_MS)
    }
    await Promise.all(asking.values())
  })()
  return {
    recording: { restarts, clusters, volumes, histories, configSeenAtMs, memberNames },
    async stop() {
      stopping.abort()
      await polling
    },
  }
}

/** Of every member that answers in time. */
export async function memberStatuses(kube: Kube): Promise<readonly MemberStatus[]> {
  const statuses = await Promise.all((await memberPods(kube)).map((pod) => memberStatus(kube, pod)))
  return statuses.filter((status) => status !== undefined)
}

async function memberPods(kube: Kube): Promise<readonly string[]> {
  const pods = await kube.list(PATHS.pods).catch(() => [])
  return pods.map(({ metadata }) => metadata.name)
}

async function memberStatus(kube: Kube, pod: string): Promise<MemberStatus | undefined> {
  const answer = await Promise.race([
    kube.get(`${PATHS.podPort(pod, ADMIN_PORT)}/admin/v1/status`).catch(() => undefined),
    sleep(POLL_LIMIT_MS),
  ])
  return Status.safeParse(answer).data
}
