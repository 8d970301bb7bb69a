import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockDirectory } from './lock.ts'

async function temporary(t: { after: (done: () => Promise<void>) => void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-lock-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

test('a directory is locked once, and again after its release', async (t) => {
  const directory = join(await temporary(t), 'made', 'anew')
  const first = await lockDirectory(directory)
  assert.ok(first.ok)
  const second = await lockDirectory(directory)
  assert.ok(!second.ok)
  assert.match(second.error, /another process uses .*anew: stop it first/)
  await first.value.release()
  const third = await lockDirectory(directory)
  assert.ok(third.ok)
  await third.value.release()
})

test('the lock of a process that was killed is free at once', async (t) => {
  const directory = await temporary(t)
  const child = await holder(directory)
  assert.ok(!(await lockDirectory(directory)).ok)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const lock = await lockDirectory(directory)
  assert.ok(lock.ok)
  await lock.value.release()
})

test('of many that come at once, one gets the lock', async (t) => {
  const directory = await temporary(t)
  const results = await Promise.all(Array.from({ length: 20 }, () => lockDirectory(directory)))
  const winners = results.filter((result) => result.ok)
  assert.equal(winners.length, 1)
  for (const { value } of winners) await value.release()
})

test('a lock file that is something else is no reason to go on', async (t) => {
  const directory = await temporary(t)
  await writeFile(join(directory, 'lock'), 'x'.repeat(4096))
  await assert.rejects(lockDirectory(directory), /cannot lock/)
})

async function holder(directory: string): Promise<ChildProcess> {
  const program = `
    const { lockDirectory } = await import(${JSON.stringify(join(import.meta.dirname, 'lock.ts'))})
    globalThis.held = await lockDirectory(${JSON.stringify(directory)})
    console.log(globalThis.held.ok)
    setTimeout(() => {}, 20_000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [answer] = await once(child.stdout ?? assert.fail(), 'data')
  assert.equal(String(answer).trim(), 'true')
  return child
}
