import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from '../testing/memory-disk.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { putChecksum } from './format.ts'
import { encodeManifest, NEW_MANIFEST } from './manifest.ts'
import { prepareDirectory, readManifest, writeManifest } from './store-directory.ts'

test('a directory that is missing becomes an empty store, and what a crash has left of files goes', async () => {
  const disk = new MemoryDisk()
  assert.equal(await readManifest(disk, '/store'), undefined)
  assert.deepEqual(await prepareDirectory(disk, '/store'), NEW_MANIFEST)
  const file = { id: 7, sizeBytes: 1, rows: 1, removals: 0, footerChecksum: 0, first: Buffer.of(1), last: Buffer.of(1) }
  const manifest = { number: 1, nextFileId: 8, runs: [[file]] }
  await writeManifest(disk, '/store', manifest)
  for (const name of ['7.run', '8.run', 'manifest.new', 'notes of somebody']) {
    await (await disk.open(`/store/${name}`, { create: true })).close()
  }
  assert.deepEqual(await prepareDirectory(disk, '/store'), manifest)
  assert.deepEqual(await disk.list('/store'), ['7.run', 'manifest', 'notes of somebody'])
})

test('a store that a later version has written is neither damaged nor touched: who finds it says which version it takes', async () => {
  const disk = new MemoryDisk()
  await disk.makeDirectory('/store')
  const later = encodeManifest(NEW_MANIFEST)
  later.write('RKVMAN12')
  putChecksum(later, 0, later.length - 4, 0)
  for (const [name, bytes] of [
    ['manifest', later],
    ['9.run', Buffer.from('of the later version')],
  ] as const) {
    const file = await disk.open(`/store/${name}`, { create: true })
    await file.write(bytes, 0)
    await file.close()
  }
  const isToldOf = (error: unknown): boolean =>
    error instanceof Error &&
    !(error instanceof StoreDamaged) &&
    error.message === '/store/manifest: it is of format 12, and this version knows 1: start a later version here'
  await assert.rejects(readManifest(disk, '/store'), isToldOf)
  await assert.rejects(prepareDirectory(disk, '/store'), isToldOf)
  assert.deepEqual(await disk.list('/store'), ['9.run', 'manifest'])
  assert.deepEqual(await disk.readFile('/store/manifest'), later)
})
