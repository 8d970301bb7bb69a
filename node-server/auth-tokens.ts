/** The kind of tokens that the flags ask for, with its keys read from their files. */
import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { TokenConfig } from './config/auth.ts'
import { JwtTokens, type JwtKeys } from './node/auth/jwt-tokens.ts'
import { SimpleTokens } from './node/auth/simple-tokens.ts'
import type { Tokens } from './node/auth/tokens.ts'

type JwtConfig = Extract<TokenConfig, { kind: 'jwt' }>
type ReadText = (path: string) => Result<string, string>

export function openTokens(config: TokenConfig, clock: Clock, readText: ReadText): Result<Tokens, string> {
  if (config.kind === 'simple') return ok(new SimpleTokens(clock, config.ttlMs))
  try {
    const keys = readKeys(config, (path) => {
      const text = readText(path)
      if (!text.ok) throw new Error(text.error)
      return text.value
    })
    return keys.ok ? ok(new JwtTokens(keys.value, clock)) : keys
  } catch (error) {
    return err(`--auth-token: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Throws when there is no such file, or no such key in it. */
function readKeys(config: JwtConfig, read: (path: string) => string): Result<JwtKeys, string> {
  const { method, publicKeyFile, privateKeyFile, ttlMs } = config
  if (method.startsWith('HS')) {
    const secret = createSecretKey(Buffer.from(read(privateKeyFile ?? '')))
    return ok({ method, ttlMs, verifyKey: secret, signKey: secret })
  }
  const signKey = privateKeyFile === undefined ? undefined : createPrivateKey(read(privateKeyFile))
  const given = publicKeyFile === undefined ? undefined : createPublicKey(read(publicKeyFile))
  const own = signKey && createPublicKey(signKey)
  if (own !== undefined && given !== undefined && !own.equals(given))
    return err("--auth-token: public and private keys don't match")
  const verifyKey = own ?? given
  if (verifyKey === undefined) return err('--auth-token: missing key data')
  return fits(method, verifyKey)
    ? ok({ method, ttlMs, verifyKey, signKey })
    : err(`--auth-token: a key of type ${verifyKey.asymmetricKeyType} does not sign by ${method}`)
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'prime256v1', ES384: 'secp384r1', ES512: 'secp521r1' }

function fits(method: JwtKeys['method'], key: KeyObject): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (method === 'EdDSA') return type === 'ed25519'
  if (method.startsWith('ES')) return type === 'ec' && details?.namedCurve === CURVES[method]
  return type === 'rsa'
}
