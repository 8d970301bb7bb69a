/** Clusters for the page as the operator would show them, half an hour of each: calm, growing, degraded, without a quorum, and with hostile names. */
import { parseStatus } from '../../operator/api/status.ts'
import type { Look } from '../../operator/cluster/look.ts'
import type { EventType, KubeObject } from '../../operator/cluster/ports.ts'

export interface Scene {
  readonly looks: readonly Look[]
  readonly events: readonly (readonly [Look, EventType, string, string])[]
}

/** Would run, were it ever taken as markup. */
export const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

const MiB = 1_048_576

export function sceneAt(nowMs: number): Scene {
  const at = (agoSeconds: number): string => new Date(nowMs - agoSeconds * 1000).toISOString()
  const condition = (type: string, status: string, reason: string, message = '', agoSeconds = 86_400): object => ({
    type,
    status,
    reason,
    message,
    lastTransitionTime: at(agoSeconds),
  })
  const orders = clusterOf('shop', 'orders', 3, {
    conditions: [
      condition('Ready', 'True', 'Ready', 'all members are voters and serve'),
      condition('Available', 'True', 'QuorumHealthy', '3 of 3 voters are healthy'),
      condition('Progressing', 'False', 'Settled'),
      condition('Degraded', 'False', 'AsExpected'),
      condition('UpToDate', 'True', 'UpToDate'),
    ],
  })
  const sessions = clusterOf('shop', 'sessions', 4, {
    learners: ['sessions-3'],
    replicas: 5,
    waitsFor: 'sessions-3 is 4711 entries behind and receives a snapshot, 120 of 800 MB',
    status: {
      operation: {
        id: 'o',
        type: 'ScaleUp',
        step: 'CatchUp',
        ordinal: 3,
        startedAt: at(95),
        deadline: at(-500),
        message: '',
      },
    },
    conditions: [
      condition('Ready', 'False', 'ScalingUp', 'sessions-3 is 4711 entries behind and receives a snapshot, 120 of 800 MB', 95), // prettier-ignore
      condition('Available', 'True', 'QuorumHealthy', '3 of 3 voters are healthy'),
      condition('Progressing', 'True', 'ScalingUp', '', 95),
      condition('Degraded', 'False', 'AsExpected'),
    ],
  })
  const ledger = clusterOf('payments', 'ledger', 3, {
    silent: ['ledger-2'],
    conditions: [
      condition('Ready', 'False', 'MembersNotReady', 'not ready: ledger-2', 240),
      condition('Available', 'True', 'QuorumHealthy', '2 of 3 voters are healthy'),
      condition('Degraded', 'True', 'MemberDown', 'ledger-2: back-off 40s restarting failed container', 240),
    ],
  })
  const lost = clusterOf('payments', 'archive', 3, {
    silent: ['archive-0', 'archive-1'],
    conditions: [
      condition('Ready', 'False', 'NoLeader', 'no leader; 1 of 3 voters answer', 600),
      condition('QuorumLost', 'True', 'QuorumLost', '1 of 3 voters answers, and 2 are needed: bring one back, or see docs/recovery.md', 600), // prettier-ignore
    ],
  })
  const hostile = clusterOf('zz', HOSTILE, 1, {
    waitsFor: HOSTILE,
    status: { leader: HOSTILE, image: HOSTILE },
    conditions: [condition(HOSTILE, 'False', HOSTILE, HOSTILE), condition('Degraded', 'True', HOSTILE, HOSTILE)],
  })
  const looks = [orders, sessions, ledger, lost, hostile].flatMap((make) => halfHour(make, nowMs))
  const last = new Map(looks.map((look) => [look.name, look]))
  const event = (name: string, type: EventType, reason: string, message: string): Scene['events'][number] => {
    const look = last.get(name)
    if (look === undefined) throw new Error(name)
    return [look, type, reason, message]
  }
  return {
    looks,
    events: [
      event('sessions', 'Normal', 'MemberAdded', 'sessions-3 is added as a learner'),
      event('sessions', 'Normal', 'ScaleUp', 'sessions-3 joins as learner 9a31c0ffee004711'),
      event('ledger', 'Warning', 'Degraded', 'ledger-2: back-off 40s restarting failed container'),
      event('ledger', 'Warning', 'Degraded', 'ledger-2: back-off 40s restarting failed container'),
      event(HOSTILE, 'Warning', HOSTILE, HOSTILE),
    ],
  }
}

interface Shape {
  readonly replicas?: number
  readonly learners?: readonly string[]
  readonly silent?: readonly string[]
  readonly waitsFor?: string
  readonly status?: object
  readonly conditions: readonly object[]
}

type Make = (atMs: number, commitIndex: number, leading: number, term: number) => Look

function clusterOf(namespace: string, name: string, count: number, shape: Shape): Make {
  const { replicas = count, learners = [], silent = [], waitsFor = '', status = {}, conditions } = shape
  const names = Array.from({ length: count }, (_, ordinal) => `${name}-${ordinal}`)
  return (atMs, commitIndex, leading, term) => {
    const members = names.map((member, ordinal) => {
      const isSilent = silent.includes(member)
      const role = isSilent
        ? 'unknown'
        : learners.includes(member)
          ? 'learner'
          : ordinal === leading
            ? 'leader'
            : 'follower'
      return {
        name: member,
        ordinal,
        id: `9a31c0ffee00${4711 + ordinal}`,
        role,
        ready: !isSilent && role !== 'learner',
        ...(!isSilent && {
          version: '0.1.0',
          dbSizeBytes: (41 + ordinal) * MiB,
          lag: role === 'learner' ? 4711 : ordinal,
        }),
        ...(isSilent && { unhealthySince: new Date(atMs - 240_000).toISOString() }),
      }
    })
    const voters = count - learners.length
    return {
      namespace,
      name,
      uid: `${namespace}/${name}`,
      atMs,
      replicas,
      isBeingDeleted: false,
      waitsFor,
      status: parseStatus({
        clusterID: '4a7d1e90b2c35f68',
        configIndex: 12,
        term,
        commitIndex,
        leader: silent.length > 1 ? '' : (names[leading] ?? ''),
        readyReplicas: members.filter(({ ready }) => ready).length,
        voters,
        quorum: Math.floor(voters / 2) + 1,
        image: 'registry.example.com/raftkv:0.1.0',
        members,
        conditions,
        ...status,
      }),
      members: new Map(
        members.map(({ name, ready, role }) => [
          name,
          {
            term: role === 'unknown' ? undefined : term,
            commitIndex: role === 'unknown' ? undefined : commitIndex - (role === 'learner' ? 4711 : 0),
            capacity: '10Gi',
            trouble: ready || role !== 'unknown' ? '' : 'back-off 40s restarting failed container',
          },
        ]),
      ),
    }
  }
}

/** Looks every 5 s; the leadership moves twice. */
function halfHour(make: Make, nowMs: number): readonly Look[] {
  const looks = 360
  let commitIndex = 1_204_300
  return Array.from({ length: looks }, (_, i) => {
    commitIndex += Math.round(60 + 40 * Math.sin(i / 23))
    const leading = i < 120 ? 0 : i < 210 ? 1 : 0
    return make(nowMs - (looks - 1 - i) * 5000, commitIndex, leading, i < 120 ? 7 : i < 210 ? 8 : 9)
  })
}

export function objectOf({ namespace, name, uid }: Look): KubeObject & { readonly metadata: { readonly uid: string } } {
  return { apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster', metadata: { namespace, name, uid } }
}
