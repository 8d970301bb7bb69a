import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { asConsole, openLog } from './log.ts'

test('a line goes to all outputs, with the level, the time and the text under etcd’s names', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-log-'))
  try {
    const outputs = [join(directory, 'a.log'), join(directory, 'b.log')]
    const log = openLog({ level: 'info', format: 'json', outputs }, 'm1')
    log.debug({}, 'too quiet')
    log.warn({ bytes: 7 }, 'of interest')
    const texts = await Promise.all(outputs.map((path) => readFile(path, 'utf8')))
    assert.equal(texts[0], texts[1])
    const { ts, ...line } = JSON.parse(texts[0] ?? '') as Record<string, unknown>
    assert.deepEqual(line, { level: 'warn', name: 'm1', bytes: 7, msg: 'of interest' })
    assert.match(String(ts), /^\d{4}-\d\d-\d\dT.*Z$/)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('a file that cannot be opened is an error, not a silent member', () => {
  assert.throws(() => openLog({ level: 'info', format: 'json', outputs: ['/proc/none/log'] }, 'm1'), /ENOENT/)
})

test('for reading, the fields stand apart by tabs', () => {
  const line = JSON.stringify({ level: 'info', ts: 'T', name: 'm1', msg: 'a "text"', n: 1 })
  assert.equal(asConsole(line), 'T\tinfo\ta "text"\t{"name":"m1","n":1}\n')
})
