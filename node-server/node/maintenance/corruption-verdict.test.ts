import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberId } from '../../../lib/ids.ts'
import {
  disagreeing,
  judgeCompaction,
  judgePeriodic,
  NOBODY_IN_PARTICULAR,
  type PeerHash,
} from './corruption-verdict.ts'
import type { HashedKeyValues } from '../ports.ts'

const OWN = MemberId(1n)
const [A, B, C, D] = [MemberId(0xan), MemberId(0xbn), MemberId(0xcn), MemberId(0xdn)]

const hash = (value: number, fields: Partial<HashedKeyValues> = {}): HashedKeyValues => ({
  hash: value,
  compactedRevision: 5,
  revision: 10,
  currentRevision: 10,
  ...fields,
})
const peer = (id: MemberId, found: HashedKeyValues | undefined): PeerHash => ({ id, hash: found })

test('periodic: a peer that differs at the leader’s revision is corrupt, one that cannot be compared is not', () => {
  const own = { id: OWN, before: hash(1), after: hash(2, { revision: 12, currentRevision: 12 }) }
  assert.equal(judgePeriodic(own, [peer(A, hash(1)), peer(B, hash(1))]), undefined)
  assert.equal(judgePeriodic(own, [peer(A, hash(1)), peer(B, hash(7))]), B)
  assert.equal(judgePeriodic(own, [peer(A, undefined), peer(B, hash(7, { compactedRevision: 4 }))]), undefined)
  assert.equal(judgePeriodic(own, [peer(A, hash(7)), peer(B, hash(8))]), A, 'one alarm is enough')
})

test('periodic: a peer ahead of a leader that has confirmed that it leads is corrupt', () => {
  const own = { id: OWN, before: hash(1), after: hash(1) }
  assert.equal(judgePeriodic(own, [peer(A, hash(1, { currentRevision: 11 }))]), A)
  assert.equal(judgePeriodic(own, [peer(A, hash(9, { compactedRevision: 6 }))]), A)
})

test('periodic: a leader whose own hash changes while its state does not accuses itself, and nobody else', () => {
  assert.equal(judgePeriodic({ id: OWN, before: hash(1), after: hash(2) }, [peer(A, hash(3))]), OWN)
  const compacted = { id: OWN, before: hash(1), after: hash(2, { compactedRevision: 7 }) }
  assert.equal(judgePeriodic(compacted, [peer(A, hash(1))]), undefined)
})

test('compactions: those outside the majority are corrupt, the leader among them if need be', () => {
  const judge = (...peers: PeerHash[]): unknown => judgeCompaction(OWN, hash(1), peers)
  assert.deepEqual(judge(peer(A, hash(1)), peer(B, hash(1))), { kind: 'equal' })
  assert.deepEqual(judge(peer(A, hash(1)), peer(B, hash(2))), { kind: 'corrupt', members: [B] })
  assert.deepEqual(judge(peer(A, hash(2)), peer(B, hash(2))), { kind: 'corrupt', members: [OWN] })
  const five = [peer(A, hash(1)), peer(B, hash(1)), peer(C, hash(2)), peer(D, hash(3))]
  assert.deepEqual(judge(...five), { kind: 'corrupt', members: [C, D] })
})

test('compactions: without a majority of all members nobody in particular is corrupt', () => {
  const nobody = { kind: 'corrupt', members: [NOBODY_IN_PARTICULAR] }
  const judge = (...peers: PeerHash[]): unknown => judgeCompaction(OWN, hash(1), peers)
  assert.deepEqual(judge(peer(A, hash(2)), peer(B, hash(3))), nobody)
  assert.deepEqual(judge(peer(A, hash(2)), peer(B, undefined)), nobody, 'who did not answer counts in the quorum')
  assert.deepEqual(judge(peer(A, hash(2))), nobody)
})

test('compactions: a peer that cannot be compared leaves it open', () => {
  const other = peer(B, hash(9, { compactedRevision: 4 }))
  assert.deepEqual(judgeCompaction(OWN, hash(1), [peer(A, hash(1)), other]), { kind: 'incomplete' })
  assert.deepEqual(judgeCompaction(OWN, hash(1), [peer(A, undefined)]), { kind: 'incomplete' })
  assert.deepEqual(judgeCompaction(OWN, hash(1), []), { kind: 'equal' })
})

test('at the start: peers with another hash of the same state', () => {
  const peers = [peer(A, hash(1)), peer(B, hash(2)), peer(C, hash(2, { compactedRevision: 4 })), peer(D, undefined)]
  assert.deepEqual(disagreeing(hash(1), peers), [B])
})
