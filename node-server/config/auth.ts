/** What the flags say about users' passwords and tokens (etcd: server/auth/store.go, NewTokenProvider; jwt options.go). Pure. */
import { SIGN_METHODS, type SignMethod } from '../node/auth/sign-methods.ts'
import { parseDurationMs } from './duration.ts'
import type { Flags } from './values.ts'

export type TokenConfig =
  | { readonly kind: 'simple'; readonly ttlMs: number }
  | {
      readonly kind: 'jwt'
      readonly method: SignMethod
      readonly publicKeyFile: string | undefined
      readonly privateKeyFile: string | undefined
      readonly ttlMs: number
    }

export interface AuthConfig {
  readonly authToken: TokenConfig
  readonly bcryptCost: number
}

const DEFAULT_TTL_SECONDS = 300
const DEFAULT_JWT_TTL_MS = 300_000
const DEFAULT_BCRYPT_COST = 10
const MIN_BCRYPT_COST = 4
const MAX_BCRYPT_COST = 31
const JWT_OPTIONS = ['sign-method', 'pub-key', 'priv-key', 'ttl']

export function readAuth(flags: Flags): AuthConfig {
  return { authToken: readToken(flags), bcryptCost: readBcryptCost(flags) }
}

function readToken(flags: Flags): TokenConfig {
  const simple: TokenConfig = {
    kind: 'simple',
    ttlMs: (flags.integer('auth-token-ttl', 0) || DEFAULT_TTL_SECONDS) * 1000,
  }
  const [kind, ...given] = flags.text('auth-token').split(',')
  const options = readOptions(flags, given)
  if (options === undefined || kind === 'simple') return simple
  if (kind === 'jwt') return readJwt(flags, options) ?? simple
  flags.refuse('auth-token', `'${kind}' is none of simple, jwt`)
  return simple
}

function readOptions(flags: Flags, given: readonly string[]): ReadonlyMap<string, string> | undefined {
  const options = new Map<string, string>()
  for (const option of given) {
    const [name = '', value, ...more] = option.split('=')
    if (value === undefined || more.length > 0 || options.has(name)) {
      flags.refuse('auth-token', `'${option}' is no option of the form name=value, or comes twice`)
      return undefined
    }
    options.set(name, value)
  }
  return options
}

function readJwt(flags: Flags, options: ReadonlyMap<string, string>): TokenConfig | undefined {
  const unknown = [...options.keys()].filter((name) => !JWT_OPTIONS.includes(name))
  if (unknown.length > 0) flags.warnings.push(`--auth-token has unknown options of jwt: ${unknown.join(', ')}`)
  const text = (name: string): string | undefined => options.get(name) || undefined
  const method = SIGN_METHODS.find((each) => each === text('sign-method'))
  const ttl = text('ttl')
  const ttlMs = ttl === undefined ? DEFAULT_JWT_TTL_MS : parseDurationMs(ttl)
  if (method === undefined) flags.refuse('auth-token', `sign-method is none of ${SIGN_METHODS.join(', ')}`)
  if (ttlMs === undefined) flags.refuse('auth-token', `ttl '${ttl}' is not a duration such as 5m`)
  const publicKeyFile = text('pub-key')
  const privateKeyFile = text('priv-key')
  // A secret that both sides share stands in the file of the private key.
  const isKeyMissing =
    privateKeyFile === undefined && (publicKeyFile === undefined || method?.startsWith('HS') === true)
  if (isKeyMissing) flags.refuse('auth-token', 'jwt needs the file of a key: priv-key, or pub-key to verify only')
  return method === undefined || ttlMs === undefined || isKeyMissing
    ? undefined
    : { kind: 'jwt', method, publicKeyFile, privateKeyFile, ttlMs }
}

function readBcryptCost(flags: Flags): number {
  const cost = flags.integer('bcrypt-cost', 0)
  if (cost >= MIN_BCRYPT_COST && cost <= MAX_BCRYPT_COST) return cost
  flags.warnings.push(
    `--bcrypt-cost=${cost} is not from ${MIN_BCRYPT_COST} to ${MAX_BCRYPT_COST}: ${DEFAULT_BCRYPT_COST} it is`,
  )
  return DEFAULT_BCRYPT_COST
}
