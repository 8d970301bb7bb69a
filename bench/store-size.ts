/**
 * What a store costs by its size: `node bench/store-size.ts [keys]`. It is made through the engine alone, with values of 100
 * bytes; then a process of its own opens it, reads 20,000 keys all over it with their values, and says how long the opening
 * took and how much anonymous memory it has, before and after.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Write } from '../node-server/mvcc/backend.ts'
import { encodeRecord, revisionKey } from '../node-server/mvcc/key-index.ts'
import { realVolume } from '../node-server/storage/volume.ts'

const KEYS_OF_COMMIT = 500_000
const READS = 20_000
const FIRST_REVISION = 2
const VALUE = Buffer.alloc(100, 'v')

const keyOf = (number: number): Buffer =>
  Buffer.from(`/registry/pods/namespace-1/pod-${String(number).padStart(8, '0')}`)

function* writesOf(first: number, end: number): Iterable<Write> {
  for (let i = first; i < end; i++) yield { table: 'revisions', key: revisionKey(FIRST_REVISION + i, 0), value: VALUE }
  for (let i = first; i < end; i++) {
    const revision = FIRST_REVISION + i
    const record = { modRevision: revision, sub: 0, createRevision: revision, version: 1, lease: 0n }
    yield { table: 'current', key: keyOf(i), value: encodeRecord(record) }
  }
}

async function fill(path: string, keys: number): Promise<void> {
  const store = await realVolume.stores.open(path)
  for (let first = 0; first < keys; first += KEYS_OF_COMMIT)
    await store.commit(writesOf(first, Math.min(keys, first + KEYS_OF_COMMIT)))
  console.log(`${keys} keys: ${store.size().totalBytes >> 20} MiB on the disk`)
  await store.close()
}

function anonymousMib(): string {
  globalThis.gc?.()
  const [, kib = '0'] = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
  return (Number(kib) / 1024).toFixed(0)
}

async function look(path: string, keys: number): Promise<void> {
  const before = anonymousMib()
  const startMs = performance.now()
  const startCpu = process.cpuUsage()
  const store = await realVolume.stores.open(path)
  const openedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(startCpu)
  const opened = anonymousMib()
  for (let i = 0; i < READS; i++) {
    const number = (i * 7919 * 104_729) % keys
    if (store.get('current', keyOf(number)) === undefined) throw new Error(`key ${number} is missing`)
    if (store.get('revisions', revisionKey(FIRST_REVISION + number, 0)) === undefined)
      throw new Error('a value is missing')
  }
  const countMs = performance.now()
  const counted = store.count('current', Buffer.of(0), undefined)
  console.log(
    `open ${openedMs.toFixed(0)} ms, ${((user + system) / 1000).toFixed(0)} ms of CPU of all threads; anonymous memory ${before} MiB before, ${opened} opened, ${anonymousMib()} after ${READS} reads; ${counted} keys counted in ${(performance.now() - countMs).toFixed(0)} ms`,
  )
  await store.close()
}

const [, , keys = '1000000', path] = process.argv
if (path !== undefined) await look(path, Number(keys))
else {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-bench-'))
  try {
    const store = join(directory, 'store')
    await fill(store, Number(keys))
    execFileSync(process.execPath, ['--expose-gc', import.meta.filename, keys, store], { stdio: 'inherit' })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
