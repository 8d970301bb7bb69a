import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatus } from '../operator/api/status.ts'
import type { FoundCluster } from './raft-cluster.ts'
import { age, membersText, statusText } from './status.ts'

const NOW = Date.parse('2026-05-01T12:00:00Z')

function cluster(status: object, more: Partial<FoundCluster> = {}): FoundCluster {
  return { name: 'db', namespace: 'shop', replicas: 3, isPaused: false, status: parseStatus(status), ...more }
}

const MEMBERS = [
  {
    name: 'db-0',
    id: 'a1',
    role: 'leader',
    ready: true,
    version: '0.1.0',
    raftIndex: 120,
    lag: 0,
    dbSizeBytes: 20_480,
  },
  {
    name: 'db-1',
    id: 'b2',
    role: 'unknown',
    ready: false,
    alarms: ['NOSPACE'],
    unhealthySince: '2026-05-01T11:58:00Z',
  },
]

test('the status has members, what is under way, and why', () => {
  const text = statusText(
    cluster({
      voters: 2,
      learners: 1,
      quorum: 2,
      readyReplicas: 1,
      leader: 'db-0',
      term: 7,
      commitIndex: 120,
      members: MEMBERS.toReversed(),
      operation: {
        id: 'o',
        type: 'ScaleUp',
        step: 'CatchUp',
        ordinal: 2,
        startedAt: '2026-05-01T11:57:30Z',
        message: 'receives a snapshot, 120 of 800 MB',
      },
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'CatchingUp',
          message: 'db-2 catches up',
          lastTransitionTime: '2026-05-01T09:00:00Z',
        },
      ],
    }),
    NOW,
  )
  assert.deepEqual(text.split('\n'), [
    'RaftCluster shop/db',
    'Members     1 of 3 ready, 2 voters (2 are a quorum), 1 learner',
    'Leader      db-0, term 7, commit index 120',
    'Image       not chosen yet',
    'Cluster ID  not formed yet',
    '',
    'MEMBER   ID   ROLE      READY   INDEX   LAG   SIZE       VERSION',
    'db-0     a1   leader    yes     120     0     20.0 KiB   0.1.0',
    'db-1     b2   unknown   no      -       -     -          -         alarm NOSPACE, not heard of since 2026-05-01T11:58:00Z',
    '',
    'Under way   ScaleUp: CatchUp, for 2m30s',
    '            receives a snapshot, 120 of 800 MB',
    '',
    'CONDITION   STATUS   SINCE   WHY',
    'Ready       False    3h      CatchingUp: db-2 catches up',
  ])
})

test('a cluster of which nothing is known yet says so', () => {
  const text = statusText(cluster({}, { isPaused: true }), NOW)
  assert.match(text, /^RaftCluster shop\/db \(paused\)\n/)
  assert.match(text, /Leader {6}none/)
  assert.equal(membersText(cluster({})), 'No member is known yet.')
})

test('ages are printed as kubectl prints them', () => {
  const told = (seconds: number): string => age(new Date(NOW - seconds * 1000).toISOString(), NOW)
  assert.deepEqual([0, 119, 120, 150, 3600, 3 * 3600, 47 * 3600, 50 * 3600].map(told), [
    '0s',
    '119s',
    '2m',
    '2m30s',
    '60m',
    '3h',
    '47h',
    '2d',
  ])
  assert.equal(age('nonsense', NOW), '-')
  assert.equal(age(new Date(NOW + 5000).toISOString(), NOW), '0s', 'clocks differ')
})
