import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { err } from '../../lib/result.ts'
import { parseConfig, type Parsed } from './parse.ts'
import { CLIENT_LIMIT_FLAGS } from './client-limits.ts'
import { classOf } from './flag.ts'
import { flagsPage } from './page.ts'
import { FLAGS, FORGOTTEN_FLAGS, GROUPS, flagOf, isFlag, type FlagName } from './table.ts'
import { ETCD_FLAGS } from './testing/etcd-flags.ts'

const parse = (...args: readonly string[]): Parsed => parseConfig(args, {}, () => err('no files'))
const OURS = [
  'listen-admin-urls',
  'admin-token-file',
  'grpc-engine',
  'warm-up',
  'shutdown-delay-duration',
  ...Object.keys(CLIENT_LIMIT_FLAGS),
  'client-cert-optional',
  'peer-secret-file',
  'peer-secret-mode',
]
/** Ours of a flag of etcd's: what a value looks like that is not the default. */
const OTHER_VALUES: Partial<Record<FlagName, string>> = { logger: 'capnslog', 'auth-token': 'jwt,sign-method=RS256' }

function otherValue(name: FlagName): string {
  const flag = flagOf(name)
  const other = OTHER_VALUES[name]
  if (other !== undefined) return other
  switch (flag.value) {
    case 'switch':
      return flag.fallback === 'true' ? 'false' : 'true'
    case 'duration':
      return '7s'
    case 'choice':
      return flag.form?.split('|').find((choice) => choice !== flag.fallback && !flag.harmless?.includes(choice)) ?? ''
    case 'path':
    case 'text':
    case 'list':
      return 'something'
    default:
      return '77'
  }
}

const ofClass = (wanted: ReturnType<typeof classOf>): readonly FlagName[] =>
  Object.keys(FLAGS).filter((name): name is FlagName => isFlag(name) && classOf(flagOf(name)) === wanted)

test('every flag of etcd 3.7.3 is here, a switch where etcd has one, and beside them only ours', () => {
  const etcds = new Map(ETCD_FLAGS.map(([name, kind]) => [name, kind]))
  assert.equal(etcds.size, 113)
  for (const [name, kind] of etcds) {
    assert.ok(isFlag(name), `--${name} is not known`)
    assert.equal(flagOf(name).value === 'switch', kind === 'switch', name)
  }
  assert.deepEqual(
    Object.keys(FLAGS).filter((name) => !etcds.has(name)),
    OURS,
  )
})

test('every flag of etcd may be given with its default, without a word about it', () => {
  for (const [name, , fallback] of ETCD_FLAGS) {
    if (fallback === undefined) continue
    // With its default, --listen-client-urls too wants to be advertised.
    const needed = name === 'listen-client-urls' ? ['--advertise-client-urls=http://localhost:2379'] : []
    const parsed = parse(`--${name}=${fallback}`, ...needed)
    assert.ok(parsed.kind === 'run', `--${name}=${fallback}: ${JSON.stringify(parsed)}`)
    assert.deepEqual(parsed.warnings, [], name)
  }
})

test('a flag without meaning here is taken with one warning that says why', () => {
  const ignored = ofClass('ignored')
  assert.ok(ignored.length > 20)
  for (const name of ignored) {
    const parsed = parse(`--${name}=${otherValue(name)}`)
    assert.ok(parsed.kind === 'run', JSON.stringify(parsed))
    assert.deepEqual(parsed.warnings, [`--${name} has no effect: ${flagOf(name).ignored}`])
  }
})

test('a flag whose promise is not kept ends the start and says why', () => {
  const refused = ofClass('refused')
  assert.ok(refused.includes('discovery-fallback'))
  for (const name of refused) {
    const value = otherValue(name)
    const parsed = parse(`--${name}=${value}`)
    assert.ok(parsed.kind === 'refused', name)
    assert.deepEqual(parsed.problems, [`--${name}=${value} cannot be had: ${flagOf(name).refused}`])
  }
})

test('flags that do nothing are still read: a value of the wrong kind is refused', () => {
  for (const [flag, expected] of [
    ['--max-wals=many', /^--max-wals: 'many' is not a whole number/],
    ['--raft-read-timeout=5', /^--raft-read-timeout: '5' is not a duration/],
    ['--unsafe-no-fsync=perhaps', /^--unsafe-no-fsync: 'perhaps' is neither true nor false/],
  ] as const) {
    const parsed = parse(flag)
    assert.ok(parsed.kind === 'refused', flag)
    assert.match(parsed.problems.join(), expected)
  }
})

test('no name stands in two groups, and what etcd forgot is no flag', () => {
  const names = GROUPS.flatMap(({ flags }) => Object.keys(flags))
  assert.equal(new Set(names).size, names.length)
  assert.deepEqual(names.toSorted(), Object.keys(FLAGS).toSorted())
  for (const name of FORGOTTEN_FLAGS) assert.ok(!isFlag(name), name)
})

test('docs/flags.md is what the table says', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'flags.md'), 'utf8')
  const lines = page.split('\n')
  const expected = flagsPage().split('\n')
  const advice = 'write it again: node node-server/config/page.ts > docs/flags.md'
  for (const [i, line] of expected.entries()) assert.equal(lines[i], line, advice)
  assert.equal(lines.length, expected.length, advice)
})
