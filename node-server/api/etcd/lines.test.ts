import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleteRange, put } from '../../mvcc/testing/requests.ts'
import { WatchableStoreRig, settled } from '../../node/testing/watchable-store-rig.ts'
import { Lines, type Turn } from './lines.ts'
import { wrongWithLines } from './testing/lines-property.ts'

const PREFIX = Buffer.from('l/')
const stays = new AbortController().signal

test('a turn comes when nothing stands before, and not earlier, whatever happens to the store and whenever it is told', async () => {
  assert.equal(await wrongWithLines(300, 1), undefined)
})

test('whoever comes and whoever goes costs the same, however long the line is', async () => {
  const rig = new WatchableStoreRig()
  const lines = new Lines({ node: rig, watchableStore: rig.watchableStore, clock: rig.clock })
  let rows = 0
  const scan = rig.store.buffer.scan.bind(rig.store.buffer)
  rig.store.buffer.scan = function* (...args) {
    for (const row of scan(...args)) {
      rows += 1
      yield row
    }
  }
  const waiters = 1000
  const turns: number[] = []
  for (let i = 0; i < waiters; i++) {
    put(rig.store, `l/${i}`)
    const { revision } = rig.store
    rig.tellApplied()
    void lines.use(PREFIX, (line) => line.awaitTurn(revision, stays)).then(() => turns.push(i))
  }
  for (let i = 0; i < waiters; i++) {
    deleteRange(rig.store, `l/${i}`)
    rig.tellApplied()
    await settled(1)
  }
  assert.deepEqual(turns, [...Array(waiters).keys()])
  assert.ok(rows < 3 * waiters, `${rows} rows were read`)
})

test('a line that takes more than there is room for is refused to all who wait in it, and then to nobody', async () => {
  const rig = new WatchableStoreRig()
  const limits = { sizeBytes: 1000, sliceRows: 500 }
  const lines = new Lines({ node: rig, watchableStore: rig.watchableStore, clock: rig.clock, limits })
  put(rig.store, 'l/a')
  put(rig.store, 'l/b')
  let turn: Turn | undefined
  const wait = (): Promise<Turn> => lines.use(PREFIX, (line) => line.awaitTurn(3, stays))
  void wait().then((given) => (turn = given))
  await settled()
  assert.equal(turn, undefined)
  for (const key of ['l/c', 'l/d']) put(rig.store, key)
  rig.tellApplied()
  await settled()
  assert.deepEqual([turn, lines.size, rig.listeners], ['too-many', 0, 0])
  assert.equal(await wait(), 'too-many', 'as long as it is too long')
  deleteRange(rig.store, 'l/', 'l/b')
  assert.equal(await lines.use(PREFIX, (line) => line.awaitTurn(3, stays)), 'turn')
})
