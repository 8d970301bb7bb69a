/** What `kubectl raft status` and `members` print. Pure. */
import type { MemberStatus } from '../operator/api/status.ts'
import type { FoundCluster } from './raft-cluster.ts'
import { table } from './table.ts'

export function statusText(cluster: FoundCluster, nowMs: number): string {
  const { status, replicas, isPaused } = cluster
  const { voters, learners, quorum, readyReplicas, leader, term, commitIndex, operation } = status
  const lines = [
    `RaftCluster ${cluster.namespace}/${cluster.name}${isPaused ? ' (paused)' : ''}`,
    `Members     ${readyReplicas} of ${replicas} ready, ${voters} voters (${quorum} are a quorum)${learners === 0 ? '' : `, ${learners} ${learners === 1 ? 'learner' : 'learners'}`}`,
    `Leader      ${leader === '' ? 'none' : leader}, term ${term}, commit index ${commitIndex}`,
    `Image       ${status.image === '' ? 'not chosen yet' : status.image}`,
    `Cluster ID  ${status.clusterID === '' ? 'not formed yet' : status.clusterID}`,
    '',
    membersText(cluster),
  ]
  if (operation !== undefined) {
    const { type, step, startedAt, deadline, message } = operation
    const until = deadline === undefined ? '' : `, until ${deadline}`
    lines.push('', `Under way   ${type}: ${step}, for ${age(startedAt, nowMs)}${until}`)
    if (message !== '') lines.push(`            ${message}`)
  }
  const rows = status.conditions.map(({ type, status: value, reason, message, lastTransitionTime }) => [
    type,
    value,
    age(lastTransitionTime, nowMs),
    message === '' ? reason : `${reason}: ${message}`,
  ])
  if (rows.length > 0) lines.push('', table(['CONDITION', 'STATUS', 'SINCE', 'WHY'], rows))
  return lines.join('\n')
}

export function membersText({ status: { members } }: FoundCluster): string {
  if (members.length === 0) return 'No member is known yet.'
  const rows = members
    .toSorted(byOrdinal)
    .map((member) => [
      member.name,
      member.id,
      member.role,
      member.ready ? 'yes' : 'no',
      counted(member.raftIndex),
      counted(member.lag),
      sizeOf(member.dbSizeBytes),
      member.version ?? '-',
      remarkOn(member),
    ])
  return table(['MEMBER', 'ID', 'ROLE', 'READY', 'INDEX', 'LAG', 'SIZE', 'VERSION', ''], rows)
}

function byOrdinal(a: MemberStatus, b: MemberStatus): number {
  return (a.ordinal ?? Infinity) - (b.ordinal ?? Infinity) || (a.name < b.name ? -1 : 1)
}

function remarkOn({ alarms, unhealthySince }: MemberStatus): string {
  const unheard = unhealthySince === undefined ? [] : [`not heard of since ${unhealthySince}`]
  return [...alarms.map((alarm) => `alarm ${alarm}`), ...unheard].join(', ')
}

function counted(value: number | undefined): string {
  return value === undefined ? '-' : String(value)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function sizeOf(bytes: number | undefined): string {
  if (bytes === undefined) return '-'
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

/** As kubectl tells ages: one unit, two where the first is small. */
export function age(since: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(since)) / 1000))
  if (Number.isNaN(seconds)) return '-'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return `${minutes}m${seconds % 60 === 0 ? '' : `${seconds % 60}s`}`
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours}h`
  return `${Math.floor(hours / 24)}d`
}
