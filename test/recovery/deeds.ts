/** What is done with the files of a running member's store, each as it comes about in a member. */
import assert from 'node:assert/strict'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { Store } from '../../node-server/mvcc/store.ts'
import type { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { LEADER, SNAPSHOTS, termAt, type History } from './history.ts'
import { entries, incoming, LEADER_TERM } from './leader.ts'
import { OWN, type MemberProcess } from './member-process.ts'
import { LogIndex, Term } from '../../lib/ids.ts'

export interface Scene {
  readonly process: MemberProcess
  /** The disk itself: what others do on it is not held up. */
  readonly disk: MemoryDisk
  readonly history: History
  /** Operations that the process had made on the disk when it had stopped. */
  stoppedAt?: number
}

export interface Deed {
  readonly name: string
  /** Rejects with `this member stops` when that is so. */
  readonly run: (scene: Scene) => Promise<void>
  /** What the store must have applied in the end. */
  readonly brings?: number
  readonly isStop?: true
  /** However long it takes, a snapshot is installed meanwhile. */
  readonly holdsUpNothing?: true
}

export const STOPS = 'this member stops'

const MESSAGE = { from: LEADER, to: OWN, term: Term(LEADER_TERM) } as const

const defragmentation: Deed = {
  name: 'a defragmentation',
  holdsUpNothing: true,
  run: ({ process }) => process.node.files.defragment(),
}

const entriesAndCommit: Deed = {
  name: 'entries and a commit of the store',
  brings: 15,
  run: async ({ process }) => {
    const place = { prevIndex: LogIndex(12), prevTerm: termAt(12), commit: LogIndex(15) }
    process.handlers.onMessages([{ kind: 'append-request', ...MESSAGE, ...place, entries: entries(13, 15) }])
    await process.clock.pass(1000)
  },
}

function snapshot(index: (typeof SNAPSHOTS)[number]): Deed {
  return {
    name: `a snapshot of entry ${index}`,
    brings: index,
    run: async (scene) => {
      const { process, history } = scene
      const { meta, bytes } = history.snapshots.get(index) ?? assert.fail()
      const message = { kind: 'snapshot-request', ...MESSAGE, snapshot: meta } as const
      await process.handlers.onSnapshot(incoming(message, bytes))
    },
  }
}

const copyForClient: Deed = {
  name: 'a copy for a client',
  holdsUpNothing: true,
  run: async ({ process, history }) => {
    const pinned = await process.node.files.pin()
    if (!pinned.ok) return assert.equal(pinned.error, 'stopped')
    const bytes = Buffer.concat(await Array.fromAsync(pinned.value.read()))
    await pinned.value.release()
    const { tables } = process.states.read(bytes, 'the copy').state
    const store = new Store(tables)
    assert.equal(hashState(store), history.hashes.get(store.appliedIndex), 'a copy is a state that the history had')
  },
}

const copyForPeer: Deed = {
  name: 'a copy for a peer',
  holdsUpNothing: true,
  run: async ({ process, history }) => {
    const { transport } = process.running
    const { meta } = history.snapshots.get(SNAPSHOTS[0]) ?? assert.fail()
    await process.node.files.send(transport, { kind: 'snapshot-request', ...MESSAGE, snapshot: meta })
  },
}

const stop: Deed = {
  name: 'a stop',
  isStop: true,
  run: async (scene) => {
    await scene.process.lifecycle.stop()
    scene.stoppedAt = scene.process.disk.journal.length
  },
}

export const DEEDS: readonly Deed[] = [
  defragmentation,
  entriesAndCommit,
  ...SNAPSHOTS.map(snapshot),
  copyForClient,
  copyForPeer,
  stop,
]
