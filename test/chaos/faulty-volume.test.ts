import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { realVolume } from '../../node-server/storage/volume.ts'
import { FaultyVolume, type DiskEvent } from './faulty-volume.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkv-faulty-volume-'))
})
after(() => rm(directory, { recursive: true, force: true }))

const rig = (name: string): { volume: FaultyVolume; events: DiskEvent[]; path: string } => {
  const events: DiskEvent[] = []
  return { volume: new FaultyVolume(realVolume, (event) => events.push(event)), events, path: join(directory, name) }
}
const SYNCED = Buffer.from('synced')
const LATER = Buffer.from('LATER, and longer')

test('power loss: what was synced stays, what was not is gone', async () => {
  const { volume, path } = rig('power')
  const file = await volume.disk.open(path, { create: true })
  await file.write(SYNCED, 0)
  await file.sync()
  await file.write(LATER, 2)
  volume.losePower(() => false)
  assert.equal((await readFile(path)).toString(), 'synced')
  await file.close()
})

test('power loss may keep a part of the sectors that were not synced', async () => {
  const { volume, path } = rig('torn')
  const file = await volume.disk.open(path, { create: true })
  await file.write(Buffer.alloc(1024, 'a'), 0)
  await file.sync()
  await file.write(Buffer.alloc(1024, 'b'), 0)
  const kept = [true, false, true]
  volume.losePower(() => kept.shift() ?? true)
  const expected = Buffer.concat([Buffer.alloc(512, 'b'), Buffer.alloc(512, 'a')])
  assert.deepEqual(await readFile(path), expected)
  await file.close()
})

test('a failed sync drops what was written since the last, and a second try is noted', async () => {
  const { volume, events, path } = rig('failed')
  const file = await volume.disk.open(path, { create: true })
  await file.write(SYNCED, 0)
  await file.sync()
  await file.write(LATER, 0)
  volume.faults.failNext = 'log'
  await assert.rejects(file.sync(), { code: 'EIO' })
  assert.equal((await readFile(path)).toString(), 'synced')
  await file.sync()
  assert.deepEqual(events, ['failed', 'retried'])
  await file.close()
})

test('a full disk takes half a write, no file and no commit, and all again once there is space', async () => {
  const { volume, path } = rig('full')
  const backend = await volume.stores.open(`${path}-store`)
  const file = await volume.disk.open(path, { create: true })
  volume.faults.isFull = true
  await assert.rejects(file.write(SYNCED, 0), { code: 'ENOSPC' })
  assert.equal((await readFile(path)).toString(), 'syn')
  await assert.rejects(volume.disk.open(`${path}-other`, { create: true }), { code: 'ENOSPC' })
  const writes = [{ table: 'meta', key: Buffer.from('k'), value: Buffer.from('v') }] as const
  await assert.rejects(backend.commit(writes), { code: 'ENOSPC' })
  volume.faults.isFull = false
  await backend.commit(writes)
  assert.equal(Buffer.from(backend.get('meta', Buffer.from('k')) ?? []).toString(), 'v')
  await backend.close()
  await file.close()
})

test('the commit that is told to fail has changed nothing; a slow disk is late', async () => {
  const { volume, events, path } = rig('store')
  const backend = await volume.stores.open(path)
  volume.faults.failNext = 'store'
  const writes = [{ table: 'meta', key: Buffer.from('k'), value: Buffer.from('v') }] as const
  await assert.rejects(backend.commit(writes), { code: 'EIO' })
  assert.equal(backend.get('meta', Buffer.from('k')), undefined)
  volume.faults.syncDelayMs = 30
  const startMs = performance.now()
  await backend.commit(writes)
  assert.ok(performance.now() - startMs >= 29)
  assert.deepEqual(events, ['failed', 'slow'])
  await backend.close()
})
