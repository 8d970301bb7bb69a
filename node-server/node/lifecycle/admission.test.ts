import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, MemberId, NOBODY } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { putMember } from '../../mvcc/members.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import { Admission, mayServe, type Candidate } from './admission.ts'
import { noteConfiguration } from '../membership/membership.ts'
import type { NodeProblem } from '../ports.ts'

const OWN = MemberId(1n)
const LEADER = MemberId(2n)

type Reached = Result<void, NodeProblem>

/** A member that is led as its next questions to a leader say. */
class FakeMember implements Candidate {
  readonly memberId = OWN
  readonly store = new Store(new MemoryBackend())
  leader = NOBODY
  /** By its own log. */
  commitIndex = LogIndex(0)
  questions = 0
  readonly #answers: (() => Reached)[]

  constructor(...answers: (() => Reached)[]) {
    this.#answers = answers
  }

  status(): { leader: MemberId; commitIndex: LogIndex } {
    return this
  }

  linearizableBarrier = async (): Promise<Reached> => {
    this.questions += 1
    return this.#answers.shift()?.() ?? err('stopped')
  }

  isKnown = true

  publishAttributes = (): Promise<boolean> => Promise.resolve(this.isKnown)

  /** As the store of a member is that has once told the cluster where its clients find it. */
  hasServed(isMember = true): this {
    if (isMember) noteConfiguration(this.store, LogIndex(5), { ...EMPTY_CONFIGURATION, voters: [OWN] }, '')
    putMember(this.store, { id: OWN, name: '', peerURLs: [], clientURLs: ['http://own:2379'], isLearner: false })
    return this
  }
}

const reached = (): Reached => ok(undefined)
const timeout = (): Reached => err('timeout')

test('clients are let in once a leader has said what is committed and that is applied, however long it takes', async () => {
  const member = new FakeMember(timeout, timeout, timeout, reached)
  assert.equal(await mayServe(member), 'led')
  assert.equal(member.questions, 4)
})

test('not before the cluster knows where its clients find it', async () => {
  const member = new FakeMember(reached, reached)
  member.isKnown = false
  assert.equal(await mayServe(member), 'stopped')
  assert.equal(member.questions, 3)
})

test('never before, at a member that has never served: not without a leader, and not by what it was told of itself', async () => {
  assert.equal(await mayServe(new FakeMember(timeout, timeout)), 'stopped')
  assert.equal(await mayServe(new FakeMember(timeout, timeout).hasServed(false)), 'stopped')
})

test('who has served before serves without a leader what its log says is committed', async () => {
  assert.equal(await mayServe(new FakeMember(timeout).hasServed()), 'alone')
  const behind = new FakeMember(timeout, timeout).hasServed()
  behind.commitIndex = LogIndex(1)
  assert.equal(await mayServe(behind), 'stopped')
})

test('with a leader it waits until it has caught up', async () => {
  const member = new FakeMember(timeout, timeout, reached).hasServed()
  member.leader = LEADER
  assert.equal(await mayServe(member), 'led')
})

test('clients are let in once, and not after the end, whatever is under way', async () => {
  const opened: boolean[] = []
  const opening = Promise.withResolvers<void>()
  const admission = new Admission(async (isLed) => {
    opened.push(isLed)
    await opening.promise
  })
  const begun = admission.begin(new FakeMember(reached))
  await new Promise(setImmediate)
  assert.deepEqual([opened, admission.isOpen], [[true], false])
  let hasEnded = false
  const ended = admission.end().then(() => (hasEnded = true))
  await new Promise(setImmediate)
  assert.equal(hasEnded, false)
  opening.resolve()
  await Promise.all([begun, ended])
  assert.equal(admission.isOpen, false)

  const late = new Admission(async () => assert.fail('opened after the end'))
  const asking = late.begin(new FakeMember(reached))
  await late.end()
  await asking
})

test('what goes wrong when clients are let in is told to who began, not to who ends', async () => {
  const admission = new Admission(() => Promise.reject(new Error('the port is taken')))
  await assert.rejects(admission.begin(new FakeMember(reached)), /the port is taken/)
  assert.equal(admission.isOpen, false)
  await admission.end()
})
