import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term, type MemberId } from '../../../lib/ids.ts'
import { err, ok } from '../../../lib/result.ts'
import { MAX_OUTGOING_SNAPSHOTS } from '../../limits.ts'
import { campaign, compact, propose, status, step, tick, type Raft } from '../../raft/raft.ts'
import { drain, ELECTION_TICKS, four, one, startRaft, three, two } from '../../raft/testing/group.ts'
import type { SendingWatcher } from '../maintenance/store-files.ts'
import { OutgoingSnapshots } from './outgoing-snapshots.ts'

const BASE = 4
const FAILED = err('the disk is full')

/** A leader whose learners have nothing, and whose log begins behind entry 4. */
class Scene {
  nowMs = 0
  usualCut = LogIndex(BASE)
  readonly raft: Raft = startRaft(one, { configuration: { voters: [one], learners: [two, three, four] } })
  /** In the order in which their snapshots were begun. */
  readonly begun: MemberId[] = []
  watcher: SendingWatcher | undefined
  readonly outgoing = new OutgoingSnapshots({
    clock: { monotonicMs: () => this.nowMs },
    random: () => 0,
    raft: this.raft,
    usualCut: () => this.usualCut,
    send: ({ to }, watcher) => {
      this.begun.push(to)
      this.watcher = watcher
    },
  })

  constructor() {
    this.lead()
    this.write(5)
    compact(this.raft, LogIndex(BASE))
  }

  lead(): void {
    campaign(this.raft)
    drain(this.raft)
  }

  write(entries: number): void {
    propose(
      this.raft,
      Array.from({ length: entries }, () => ({ kind: 'normal' as const, data: Buffer.alloc(10) })),
    )
    this.#carry()
  }

  /** It answers a heartbeat, and has nothing. */
  hear(from: MemberId): void {
    step(this.raft, { kind: 'heartbeat-response', from, to: one, term: this.raft.term, readBatch: 0 })
    this.#carry()
  }

  accept(from: MemberId, index: number, needsSnapshot = false): void {
    const none = { isRejected: false, needsSnapshot, hintIndex: LogIndex(0), hintTerm: Term(0) }
    const { term } = this.raft
    step(this.raft, { kind: 'append-response', from, to: one, term, index: LogIndex(index), ...none })
    this.#carry()
  }

  /** It has not even the entry before those that were sent. */
  reject(from: MemberId, index: number): void {
    const { term } = this.raft
    const answer = {
      isRejected: true,
      needsSnapshot: false,
      index: LogIndex(index),
      hintIndex: LogIndex(0),
      hintTerm: Term(0),
    }
    step(this.raft, { kind: 'append-response', from, to: one, term, ...answer })
    this.#carry()
  }

  wait(forMs: number): void {
    this.nowMs += forMs
    this.outgoing.tick()
  }

  stateOf(id: MemberId): string | undefined {
    return status(this.raft).peers.find((peer) => peer.id === id)?.state
  }

  get keptAfter(): readonly number[] {
    return this.outgoing.kept.map(({ after }) => after)
  }

  #carry(): void {
    for (const message of drain(this.raft)) if (message.kind === 'snapshot-request') this.outgoing.ask(message)
  }
}

test('after a failure the next copy waits, longer each time, up to half a minute', () => {
  const scene = new Scene()
  scene.hear(two)
  for (const [failures, pauseMs] of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].entries()) {
    assert.equal(scene.begun.length, failures + 1)
    scene.outgoing.ended(two, FAILED)
    scene.hear(two)
    scene.hear(two)
    assert.equal(scene.stateOf(two), 'snapshot', 'it waits for one')
    assert.deepEqual(scene.keptAfter, [], 'nothing is kept meanwhile')
    scene.wait(pauseMs - 1)
    assert.equal(scene.begun.length, failures + 1)
    scene.wait(1)
  }
})

test('how far a snapshot has come is known from when its size is, until it is over', () => {
  const scene = new Scene()
  scene.hear(two)
  assert.equal(scene.outgoing.progressTo(two), undefined)
  scene.watcher?.onPinned(LogIndex(5), 800)
  assert.deepEqual(scene.outgoing.progressTo(two), { sentBytes: 0, totalBytes: 800 })
  scene.watcher?.onSent(120)
  assert.deepEqual(scene.outgoing.progressTo(two), { sentBytes: 120, totalBytes: 800 })
  assert.equal(scene.outgoing.progressTo(three), undefined)
  scene.outgoing.ended(two, ok(undefined))
  scene.watcher?.onSent(800)
  assert.equal(scene.outgoing.progressTo(two), undefined)
})

test('a snapshot that has arrived and is too old counts as failed; once the peer has caught up, all is forgotten', () => {
  const scene = new Scene()
  scene.hear(two)
  scene.watcher?.onPinned(LogIndex(5), 9)
  scene.outgoing.ended(two, ok(undefined))
  scene.write(5)
  compact(scene.raft, LogIndex(9))
  scene.accept(two, 5)
  assert.equal(scene.begun.length, 1)
  scene.wait(1000)
  assert.equal(scene.begun.length, 2)
  scene.outgoing.ended(two, ok(undefined))
  scene.usualCut = LogIndex(11)
  scene.accept(two, 11)
  scene.wait(0)
  compact(scene.raft, LogIndex(11))
  scene.write(2)
  compact(scene.raft, LogIndex(13))
  scene.reject(two, 13)
  assert.equal(scene.begun.length, 3, 'at once')
})

test('the log is kept from before the copy is made until the peer needs no more of it than others', () => {
  const scene = new Scene()
  scene.hear(two)
  assert.deepEqual(scene.keptAfter, [BASE])
  scene.write(4)
  scene.watcher?.onPinned(LogIndex(8), 9)
  scene.wait(60_000)
  assert.deepEqual(scene.outgoing.kept, [{ after: 8, idleMs: 0, sizeBytes: 4 * (21 + 10) }])
  scene.outgoing.ended(two, ok(undefined))
  assert.deepEqual(scene.keptAfter, [8], 'it has arrived, and is not the store of the peer yet')
  scene.accept(two, 8)
  scene.usualCut = LogIndex(9)
  scene.wait(3)
  assert.equal(scene.stateOf(two), 'replicate')
  assert.deepEqual(scene.outgoing.kept, [{ after: 8, idleMs: 3, sizeBytes: 4 * (21 + 10) }])
  scene.write(1)
  scene.usualCut = LogIndex(10)
  scene.accept(two, 9)
  scene.wait(3)
  assert.deepEqual(scene.outgoing.kept, [{ after: 9, idleMs: 0, sizeBytes: 5 * (21 + 10) }])
  scene.accept(two, 10)
  scene.wait(0)
  assert.deepEqual(scene.keptAfter, [])
})

test('few are under way at once; who waits comes next', () => {
  const scene = new Scene()
  assert.equal(MAX_OUTGOING_SNAPSHOTS, 2)
  for (const id of [two, three, four]) scene.hear(id)
  assert.deepEqual(scene.begun, [two, three])
  scene.outgoing.ended(two, FAILED)
  assert.deepEqual(scene.begun, [two, three, four])
  scene.outgoing.ended(two, FAILED)
  assert.equal(scene.stateOf(two), 'probe', 'an outcome that is told twice counts once')
})

test('to a peer that went away while it waited nothing is copied; when it is back it gets one', () => {
  const scene = new Scene()
  scene.hear(two)
  scene.outgoing.ended(two, FAILED)
  scene.hear(two)
  for (let i = 0; i <= ELECTION_TICKS; i++) tick(scene.raft)
  scene.wait(1000)
  assert.deepEqual([scene.begun.length, scene.stateOf(two)], [1, 'probe'])
  scene.hear(two)
  assert.equal(scene.begun.length, 2)
})

test('who loses the lead and gets it back sends no second one beside the first, and goes by how that one ends', () => {
  for (const result of [ok(undefined), FAILED]) {
    const scene = new Scene()
    scene.hear(two)
    const term = Term(scene.raft.term + 1)
    step(scene.raft, { kind: 'heartbeat-request', from: two, to: one, term, commit: LogIndex(0), readBatch: 0 })
    scene.outgoing.demote()
    assert.deepEqual(scene.keptAfter, [])
    scene.lead()
    scene.reject(two, scene.raft.log.committed - 1)
    assert.deepEqual([scene.stateOf(two), scene.begun.length], ['snapshot', 1])
    scene.outgoing.ended(two, result)
    assert.equal(scene.stateOf(two), result.ok ? 'probe' : 'snapshot')
    scene.wait(1000)
    assert.equal(scene.begun.length, result.ok ? 1 : 2)
  }
})
