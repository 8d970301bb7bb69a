import assert from 'node:assert/strict'
import { test } from 'node:test'
import { err } from '../../lib/result.ts'
import { parseConfig, type Parsed } from './parse.ts'

const parse = (...args: readonly string[]): Parsed => parseConfig(args, {}, () => err('no files'))

test('simple tokens live as long as the flag says', () => {
  for (const [args, ttlMs] of [
    [[], 300_000],
    [['--auth-token=simple', '--auth-token-ttl=10'], 10_000],
    [['--auth-token-ttl=0'], 300_000],
  ] as const) {
    const parsed = parse(...args)
    assert.deepEqual(parsed.kind === 'run' && parsed.config.authToken, { kind: 'simple', ttlMs })
  }
})

test('signed tokens have a method, the files of their keys, and a life of their own', () => {
  const parsed = parse('--auth-token=jwt,sign-method=ES256,pub-key=/a,priv-key=/b,ttl=1m30s', '--auth-token-ttl=7')
  assert.deepEqual(parsed.kind === 'run' && parsed.config.authToken, {
    kind: 'jwt',
    method: 'ES256',
    publicKeyFile: '/a',
    privateKeyFile: '/b',
    ttlMs: 90_000,
  })
  const short = parse('--auth-token=jwt,sign-method=RS256,pub-key=/a,colour=red')
  assert.ok(short.kind === 'run')
  assert.deepEqual(short.config.authToken.ttlMs, 300_000)
  assert.deepEqual(short.warnings, ['--auth-token has unknown options of jwt: colour'])
})

test('tokens that cannot be made as asked end the start', () => {
  for (const [value, expected] of [
    ['token', /'token' is none of simple, jwt/],
    ['', /'' is none of simple, jwt/],
    ['jwt', /sign-method is none of RS256/],
    ['jwt,sign-method=none,priv-key=/a', /sign-method is none of RS256/],
    ['jwt,sign-method=RS256', /needs the file of a key/],
    ['jwt,sign-method=HS256,pub-key=/a', /needs the file of a key/],
    ['jwt,sign-method=RS256,priv-key=/a,ttl=5', /ttl '5' is not a duration/],
    ['jwt,sign-method', /'sign-method' is no option/],
    ['jwt,sign-method=RS256,sign-method=RS256', /comes twice/],
  ] as const) {
    const parsed = parse(`--auth-token=${value}`)
    assert.ok(parsed.kind === 'refused', value)
    assert.match(parsed.problems.join('\n'), expected)
  }
})

test('a cost that bcrypt does not have is the usual one, with a word about it (etcd)', () => {
  const cost = (value: string): readonly [unknown, readonly string[]] => {
    const parsed = parse(`--bcrypt-cost=${value}`)
    return parsed.kind === 'run' ? [parsed.config.bcryptCost, parsed.warnings] : [undefined, []]
  }
  assert.deepEqual(cost('4'), [4, []])
  assert.deepEqual(cost('31'), [31, []])
  for (const value of ['3', '32']) {
    const [used, warnings] = cost(value)
    assert.equal(used, 10)
    assert.match(warnings.join(), /--bcrypt-cost=\d+ is not from 4 to 31/)
  }
})
