import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatus } from '../api/status.ts'
import type { Look } from '../cluster/look.ts'
import { Board } from './board.ts'
import { HISTORY_EVERY_MS, HISTORY_MS, HISTORY_POINTS, RECENT_EVENTS } from './limits.ts'

function lookAt(atMs: number, changes: Partial<Look> = {}, status: object = {}): Look {
  const recorded = parseStatus({ clusterID: 'c', configIndex: 1, term: 1, commitIndex: 5, leader: 'kv-0', ...status })
  return { namespace: 'ns', name: 'kv', uid: 'u', atMs, replicas: 3, isBeingDeleted: false, waitsFor: '', members: new Map(), status: recorded, ...changes } // prettier-ignore
}

const object = (name: string, uid: string) => ({
  apiVersion: 'a/v1',
  kind: 'K',
  metadata: { namespace: 'ns', name, uid },
})

function boardOf(...known: ReturnType<typeof object>[]): { board: Board; known: ReturnType<typeof object>[] } {
  return { board: new Board(() => known, () => 1000), known } // prettier-ignore
}

test('which clusters there are is the cache’s word, and one that was not looked at says so', () => {
  const { board, known } = boardOf(object('kv', 'u'), object('b', 'v'))
  board.looked(lookAt(0))
  board.looked(lookAt(0, { name: 'gone', uid: 'w' }))
  assert.deepEqual(
    board.all().map(({ name, state }) => [name, state]),
    [
      ['b', 'Not looked at yet'],
      ['kv', 'Unknown'],
    ],
  )
  known.pop()
  assert.deepEqual(
    board.all().map(({ name }) => name),
    ['kv'],
  )
})

test('changes are told once, and so is what has gone', () => {
  const { board, known } = boardOf(object('kv', 'u'), object('b', 'v'))
  board.looked(lookAt(0))
  assert.equal(board.changes().clusters.length, 2)
  assert.deepEqual(board.changes(), { clusters: [], gone: [] })
  board.looked(lookAt(5000))
  assert.deepEqual(
    board.changes().clusters.map(({ name }) => name),
    ['kv'],
  )
  known.shift()
  assert.deepEqual(board.changes(), { clusters: [], gone: ['ns/kv'] })
})

test('a cluster that is made again under its name has neither the history nor the events of the one before', () => {
  const { board, known } = boardOf(object('kv', 'u'))
  board.looked(lookAt(0))
  board.happened(object('kv', 'u'), 'Normal', 'Ready', 'all is well')
  known[0] = object('kv', 'u2')
  assert.equal(board.all()[0]?.state, 'Not looked at yet')
  board.looked(lookAt(5000, { uid: 'u2' }))
  assert.equal(board.history('ns/kv')?.points.length, 1)
  assert.deepEqual(board.all()[0]?.events, [])
})

test('an event that repeats is counted; the newest are kept', () => {
  const { board } = boardOf(object('kv', 'u'))
  board.looked(lookAt(0))
  for (let i = 0; i < RECENT_EVENTS + 5; i++) board.happened(object('kv', 'u'), 'Normal', 'Reason', `message ${i}`)
  board.happened(object('kv', 'u'), 'Normal', 'Reason', 'message 20')
  const events = board.all()[0]?.events ?? []
  assert.equal(events.length, RECENT_EVENTS)
  assert.deepEqual([events[0]?.message, events[0]?.count], ['message 20', 2])
})

test('a history has a point every 5 s, each change of leader or term, and no more than half an hour', () => {
  const { board } = boardOf(object('kv', 'u'))
  const points = () => board.history('ns/kv')?.points ?? []
  for (let atMs = 0; atMs < 60_000; atMs += 500) board.looked(lookAt(atMs, {}, { commitIndex: atMs }))
  assert.equal(points().length, 12)
  board.looked(lookAt(60_100, {}, { leader: '', term: 2 }))
  board.looked(lookAt(60_200, {}, { leader: 'kv-1', term: 2 }))
  assert.deepEqual(board.history('ns/kv')?.leaders, ['kv-0', '', 'kv-1'])
  assert.equal(points().length, 14)
  for (let atMs = 60_300; atMs < 3 * HISTORY_MS; atMs += HISTORY_EVERY_MS) board.looked(lookAt(atMs))
  assert.ok(points().length <= HISTORY_POINTS, String(points().length))
  assert.ok((points().at(-1)?.[0] ?? 0) - (points()[0]?.[0] ?? 0) <= HISTORY_MS)
  for (let term = 2; term < 2000; term++) board.looked(lookAt(3 * HISTORY_MS + term, {}, { term }))
  assert.equal(points().length, HISTORY_POINTS, 'however often the leader changes')
})
