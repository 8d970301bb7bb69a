/** The programs that put a cluster under load, as processes, and what they and the members use meanwhile. Linux only: /proc. */
import { readFileSync } from 'node:fs'
import type { Cluster, Member } from '../test/limits/cluster.ts'
import { run } from '../test/e2e/process.ts'
import type { Figures, Load, Place } from './stage.ts'
import { parseReport } from './tool-output.ts'

/** Their paths. */
export interface Tools {
  /** etcd's. */
  readonly benchmark: string
  /** Ours, for what etcd's has no load of. */
  readonly load: string
}

const CLIENTS = 1000
const CONNECTIONS = 100
const LIMIT_MS = 600_000
const CLOCK_TICKS_PER_SECOND = 100
const MICROSECONDS = 1_000_000

export async function runLoad(place: Place, load: Load): Promise<Figures> {
  const { cluster, tools, size } = place
  const { clients = CLIENTS, connections = CONNECTIONS, reportsForEach = 1 } = load
  const [leader, total] = [await cluster.leader(), size(load.total, Math.min(clients, load.total))]
  const flags = [`--conns=${connections}`, `--clients=${clients}`, `--total=${total}`]
  const to = load.to === 'all' ? cluster.members : [leader]
  const before = cpuOf(cluster, leader)
  const text = await run([tools[load.program], ...load.args, ...flags, ...reachedAt(cluster, to)], {
    timeoutMs: LIMIT_MS,
  })
  const after = cpuOf(cluster, leader)
  const report = parseReport(text)
  if (!report.ok) throw new Error(report.error)
  const each = (seconds: number): number => (seconds * MICROSECONDS) / (total * reportsForEach)
  return {
    ...report.value,
    leaderMicros: each(after.leader - before.leader),
    followerMicros: each(after.follower - before.follower),
    clientMicros: each(after.client - before.client),
  }
}

/** Flags that both programs have. */
export function reachedAt({ caFile }: Cluster, members: readonly Member[]): readonly string[] {
  const endpoints = `--endpoints=${members.map(({ address }) => address).join(',')}`
  return caFile === undefined ? [endpoints] : [endpoints, `--cacert=${caFile}`]
}

/** Seconds of processor time. The followers' is their mean. */
function cpuOf(cluster: Cluster, leader: Member): Readonly<Record<'leader' | 'follower' | 'client', number>> {
  const followers = cluster.members.filter((member) => member !== leader && member.isRunning)
  const all = followers.reduce((sum, member) => sum + member.cpuSeconds(), 0)
  return { leader: leader.cpuSeconds(), follower: all / followers.length, client: endedChildrenSeconds() }
}

/** Of processes that this one has started and that have ended: between two looks no member does, so it is the client's. */
function endedChildrenSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) / CLOCK_TICKS_PER_SECOND
}
