import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { realDisk } from './disk.ts'
import { replay } from './wal-replay.ts'

const WRITER = join(import.meta.dirname, 'testing', 'wal-crash-writer.ts')

/** Runs the writer until it has printed something and a moment more; the last index that it printed. */
async function writeUntilKilled(directory: string, afterMs: number): Promise<number> {
  const writer = spawn(process.execPath, [WRITER, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  writer.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  await Promise.race([once(writer.stdout, 'data'), once(writer, 'exit')])
  await delay(afterMs)
  writer.kill('SIGKILL')
  if (writer.stdout.readable) await once(writer, 'close')
  // The last line may have been cut off by the kill.
  const lines = printed.slice(0, printed.lastIndexOf('\n')).split('\n')
  return Number(lines.at(-1))
}

test('killed at any moment, on real files, the log has what it acknowledged and goes on', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'raftkv-wal-'))
  t.after(() => rm(parent, { recursive: true }))
  const directory = join(parent, 'wal')
  let before = 0
  for (const afterMs of [0, 13, 37, 60, 101, 150]) {
    const acknowledged = await writeUntilKilled(directory, afterMs)
    assert.ok(acknowledged > before, `the writer got from ${before} to ${acknowledged}`)
    const found = await replay(realDisk, directory)
    assert.ok(found.ok, found.ok ? '' : found.error)
    const { state, entries } = found.value
    const last = state.base.index + entries.length
    assert.ok(last >= acknowledged, `${acknowledged} was acknowledged, the log ends at ${last}`)
    assert.ok(state.hardState.commit >= acknowledged)
    for (const [i, { index, data }] of entries.entries()) {
      assert.equal(index, state.base.index + i + 1)
      assert.deepEqual(Buffer.from(data), Buffer.alloc(100 + ((index * 37) % 900), index % 251), `entry ${index}`)
    }
    before = acknowledged
  }
  assert.ok(before > 100, 'too few appends for segments to roll')
})
