/** Stores whose process is killed, with a thread and on the machine's disk. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { hashState } from '../../mvcc/testing/hash-state.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { runsEngine } from './engine.ts'
import { applyUpTo } from './testing/crash-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'raftkv-kill-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** The last applied index that the process was told is durable. It is killed `delayMs` after it has printed `first`. */
async function runAndKill(program: string, path: string, first: string, delayMs: number): Promise<number> {
  const script = join(import.meta.dirname, 'testing', program)
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  while (!output.includes(first)) await once(child.stdout, 'data')
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  child.kill('SIGKILL')
  await once(child, 'close')
  return Number([...output.matchAll(/^committed (\d+)\n/gm)].at(-1)?.[1] ?? 0)
}

test('killed at any moment, the tables are exactly those of the applied index', { timeout: 60_000 }, async () => {
  const path = join(folder, 'store')
  const replayed = new Store(new MemoryBackend())
  for (const delayMs of [5, 90, 30]) {
    const committed = await runAndKill('crash-writer.ts', path, 'committed', delayMs)
    const store = new Store(await runsEngine().open(path))
    assert.ok(store.appliedIndex >= committed, `told that ${committed} is durable, found ${store.appliedIndex}`)
    assert.ok(store.appliedIndex > 0)
    applyUpTo(replayed, store.appliedIndex)
    assert.equal(hashState(store), hashState(replayed))
    await store.close()
  }
})

test('so they are when it was being defragmented over and over', { timeout: 60_000 }, async () => {
  for (const delayMs of [0, 20, 60, 120]) {
    const path = join(mkdtempSync(join(folder, 'defragmented-')), 'store')
    const committed = await runAndKill('defragmenter.ts', path, 'defragmented 3', delayMs)
    const store = new Store(await runsEngine().open(path))
    assert.ok(store.appliedIndex >= committed, `told that ${committed} is durable, found ${store.appliedIndex}`)
    const replayed = new Store(new MemoryBackend())
    applyUpTo(replayed, store.appliedIndex)
    assert.equal(hashState(store), hashState(replayed))
    await store.close()
  }
})
