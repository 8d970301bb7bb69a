/** What a rule looks at, made by hand. */
import assert from 'node:assert/strict'
import type { AdminStatus } from '../../../lib/admin-api.ts'
import { parseRaftCluster, type RaftCluster } from '../../api/raft-cluster.ts'
import type { Membership, Observed, ObservedPod } from '../observed.ts'
import { FORMS } from '../resources/forms.ts'
import { FakeCluster } from './fake-cluster.ts'

const EMPTY: AdminStatus = new FakeCluster().status({ clusterId: '', memberId: '', age: 0 }, 'kv-0')

export function cluster(status: object = {}, spec: object = {}): RaftCluster {
  const metadata = { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }
  const parsed = parseRaftCluster({ metadata, spec, status: { clusterID: 'c', ...status } })
  assert(parsed.ok)
  return parsed.value
}

export function pod(ordinal: number, status: Partial<AdminStatus>): ObservedPod {
  const name = `kv-${ordinal}`
  return {
    ordinal,
    name,
    uid: name,
    isTerminating: false,
    isReady: true,
    readySinceMs: 0,
    isRunning: true,
    templateHash: undefined,
    restartedAt: undefined,
    trouble: undefined,
    stuck: undefined,
    adminUrl: name,
    clientUrl: name,
    status: { ...EMPTY, clusterId: 'c', role: 'follower' as const, name, ...status },
    contradiction: undefined,
  }
}

/** Members with the IDs 1 to `voters`, the first `healthy` of which the leader, member 1, hears from. */
export function membership(voters: number, healthy: number, changes: Partial<Membership> = {}): Membership {
  const ids = Array.from({ length: voters }, (_, index) => String(index + 1))
  return {
    configIndex: 7,
    term: 2,
    commitIndex: 9,
    voters: ids,
    learners: ['a'],
    members: ids.map((id, ordinal) => ({
      id,
      ordinal,
      name: `kv-${ordinal}`,
      peerURLs: [],
      clientURLs: [],
      isLearner: false,
    })),
    leader: { memberId: '1', adminUrl: 'kv-0' },
    isChangePending: false,
    alarms: [],
    activeIds: new Set(ids.slice(0, healthy)),
    peers: new Map(),
    ...changes,
  }
}

export function observedWith(found: Membership, of = cluster({ configIndex: 7 })): Observed {
  const objects = {
    serviceAccount: undefined,
    headlessService: undefined,
    clientService: undefined,
    disruptionBudget: undefined,
    networkPolicy: undefined,
    adminToken: undefined,
    tls: new Map(),
    sources: new Map(),
    certificates: new Map(),
    statefulSet: undefined,
  }
  return {
    nowMs: 0,
    cluster: of,
    defaultImage: '',
    operatorPods: undefined,
    forms: FORMS,
    objects,
    creationRefusal: undefined,
    templateRefusal: undefined,
    pods: new Map(),
    volumes: new Map(),
    foreignPods: [],
    foreignVolumes: new Map(),
    claims: undefined,
    membership: found,
    users: undefined,
    usersProblem: undefined,
    restore: undefined,
    unread: [],
  }
}
