import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term } from '../../../lib/ids.ts'
import type { Message } from '../../raft/message.ts'
import { campaign, propose, step, tick, type Raft } from '../../raft/raft.ts'
import { entry, one, startRaft, three, two } from '../../raft/testing/group.ts'
import { Pipeline } from './pipeline.ts'
import { settled } from '../testing/virtual-clock.ts'

const VOTERS = [one, two, three]

/** A disk and a store that end what they are given when the test says so. */
class Rig {
  readonly raft: Raft
  readonly pipeline: Pipeline
  readonly events: string[] = []
  readonly #waiting: { readonly what: string; end(error?: Error): void }[] = []

  constructor(raft: Raft) {
    this.raft = raft
    this.pipeline = new Pipeline(raft, {
      send: (messages) => this.events.push(...messages.map(describeMessage)),
      installSnapshot: ({ index }) => this.#begin(`install ${index}`),
      persist: (_hardState, entries) => this.#begin(`persist ${entries.map(({ index }) => index).join(' ')}`.trim()),
      apply: (entries) => this.#begin(`apply ${entries.map(({ index }) => index).join(' ')}`).then(() => true),
      tell: () => undefined,
      giveWay: () => new Promise((resolve) => setImmediate(resolve)),
      onProgress: () => this.pipeline.pump(),
      onFatal: (error) => this.events.push(`fatal: ${String(error)}`),
    })
  }

  #begin(what: string): Promise<void> {
    this.events.push(what)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ what, end: (error) => (error === undefined ? resolve() : reject(error)) })
    })
  }

  /** What has happened since the last look. */
  async pump(): Promise<string[]> {
    this.pipeline.pump()
    await settled()
    return this.events.splice(0)
  }

  async end(what: string, error?: Error): Promise<string[]> {
    const at = this.#waiting.findIndex((waiting) => waiting.what === what)
    assert.notEqual(at, -1, `${what} is not under way`)
    this.#waiting.splice(at, 1)[0]?.end(error)
    await settled()
    await settled() // what has given way
    return this.events.splice(0)
  }
}

function describeMessage(message: Message): string {
  if (message.kind === 'append-response' && !message.isRejected) return `acknowledges ${message.index}`
  return `${message.kind} to ${message.to}`
}

const from = { from: one, to: two, term: Term(1) }

function append(raft: Raft, prevIndex: number, indexes: readonly number[], commit: number): void {
  const entries = indexes.map((index) => entry(index, 1))
  const at = { prevIndex: LogIndex(prevIndex), prevTerm: Term(prevIndex === 0 ? 0 : 1), commit: LogIndex(commit) }
  step(raft, { kind: 'append-request', ...from, ...at, entries })
}

const follower = (): Rig => new Rig(startRaft(two, { configuration: { voters: VOTERS }, term: 1 }))

test('the answer to a heartbeat waits for no disk, an acknowledgement for just its own fsync', async () => {
  const rig = follower()
  append(rig.raft, 0, [1], 0)
  assert.deepEqual(await rig.pump(), ['persist 1'])
  append(rig.raft, 1, [2], 0)
  step(rig.raft, { kind: 'heartbeat-request', ...from, commit: LogIndex(0), readBatch: 0 })
  assert.deepEqual(await rig.pump(), ['heartbeat-response to 1'])
  assert.deepEqual(await rig.end('persist 1'), ['acknowledges 1', 'persist 2'])
  assert.deepEqual(await rig.end('persist 2'), ['acknowledges 2'])
})

test('what is durable is applied while the disk works, and the log goes on while the store works', async () => {
  const rig = follower()
  append(rig.raft, 0, [1], 0)
  await rig.pump()
  await rig.end('persist 1')
  append(rig.raft, 1, [2], 2)
  assert.deepEqual(await rig.pump(), ['persist 2', 'apply 1'], 'entry 2 is committed, and not durable here')
  assert.deepEqual(await rig.end('persist 2'), ['acknowledges 2'])
  append(rig.raft, 2, [3], 2)
  assert.deepEqual(await rig.pump(), ['persist 3'])
  assert.deepEqual(await rig.end('apply 1'), ['apply 2'])
  assert.deepEqual(await rig.end('persist 3'), ['acknowledges 3'])
})

test('on a quick disk the acknowledgement leaves before what came with it is applied', async () => {
  const rig = follower()
  append(rig.raft, 0, [1], 0)
  await rig.pump()
  await rig.end('persist 1')
  append(rig.raft, 1, [2], 1)
  rig.pipeline.pump()
  assert.deepEqual(await rig.end('persist 2'), ['persist 2', 'acknowledges 2', 'apply 1'])
})

test('a leader sends while its own disk works', async () => {
  const rig = new Rig(startRaft(one, { configuration: { voters: VOTERS } }))
  campaign(rig.raft)
  const granted = { from: two, to: one, term: Term(1), isGranted: true }
  step(rig.raft, { kind: 'pre-vote-response', ...granted })
  await rig.pump()
  step(rig.raft, { kind: 'vote-response', ...granted })
  await rig.end('persist')
  rig.events.splice(0)
  propose(rig.raft, [{ kind: 'normal', data: Buffer.from('a') }])
  for (let i = 0; i < 2; i++) tick(rig.raft)
  const events = await rig.pump()
  assert.ok(events.includes('heartbeat-request to 2'), events.join())
  assert.ok(!events.some((event) => event.startsWith('persist')), 'the first piece is still under way')
})

test('a snapshot becomes the store once the entries on their way are in the one before, and nothing is applied meanwhile', async () => {
  const rig = follower()
  append(rig.raft, 0, [1], 1)
  await rig.pump()
  assert.deepEqual(await rig.end('persist 1'), ['acknowledges 1', 'apply 1'])
  const { configuration } = rig.raft
  const snapshot = { index: LogIndex(9), term: Term(1), configuration, configIndex: LogIndex(0) }
  step(rig.raft, { kind: 'snapshot-request', ...from, snapshot })
  append(rig.raft, 9, [10], 10)
  assert.deepEqual(await rig.pump(), [])
  assert.deepEqual(await rig.end('apply 1'), ['install 9'])
  assert.deepEqual(await rig.end('install 9'), ['persist 10'])
  assert.deepEqual(await rig.end('persist 10'), ['acknowledges 9', 'acknowledges 10', 'apply 10'])
})

test('a disk that fails ends all of it: nothing is promised, applied or begun any more', async () => {
  const rig = follower()
  append(rig.raft, 0, [1], 1)
  await rig.pump()
  assert.deepEqual(await rig.end('persist 1', new Error('EIO')), ['fatal: Error: EIO'])
  append(rig.raft, 1, [2], 2)
  assert.deepEqual(await rig.pump(), [])
})

test('who stops waits for what is under way, and begins nothing', async () => {
  const rig = follower()
  append(rig.raft, 0, [1], 1)
  await rig.pump()
  let isStopped = false
  const stopped = rig.pipeline.stop().then(() => (isStopped = true))
  await settled()
  assert.equal(isStopped, false)
  assert.deepEqual(await rig.end('persist 1'), ['acknowledges 1'])
  await stopped
})
