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

const POLL_MS = 150
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

export type MemberStatus = z.output<typeof Status>

export interface Recording {
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
  const polling = (async () => {
    while (!stopping.signal.aborted) {
      for (const status of await memberStatuses(kube)) note(status)
      await sleep(POLL_MS)
    }
  })()
  return {
    recording: { clusters, volumes, histories, configSeenAtMs, memberNames },
    async stop() {
      stopping.abort()
      await polling
    },
  }
}

/** Of every member that answers in time. */
export async function memberStatuses(kube: Kube): Promise<readonly MemberStatus[]> {
  const pods = await kube.list(PATHS.pods).catch(() => [])
  const asked = pods.map(async ({ metadata }) => {
    const answer = await Promise.race([
      kube.get(`${PATHS.podPort(metadata.name, ADMIN_PORT)}/admin/v1/status`).catch(() => undefined),
      sleep(POLL_LIMIT_MS),
    ])
    const parsed = Status.safeParse(answer)
    return parsed.success ? [parsed.data] : []
  })
  return (await Promise.all(asked)).flat()
}
