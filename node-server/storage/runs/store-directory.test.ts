import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from '../testing/memory-disk.ts'
import { NEW_MANIFEST } from './manifest.ts'
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
