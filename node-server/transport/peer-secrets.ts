/** --peer-secret-file: what members know and others do not. Read again when it changes; what is of no use is told once a minute, and what was there before goes on. */
import { err, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../lib/clock.ts'
import { MAX_PEER_SECRETS, MIN_PEER_SECRET_SIZE_BYTES } from '../limits.ts'
import { secretsOf } from '../tls/secrets.ts'
import { WatchedFile } from '../tls/watched-file.ts'
import type { TransportLog } from './listener.ts'
import { LogLimiter } from './log-limiter.ts'

export interface PeerSecretOptions {
  readonly path: string
  /** `offer`: who cannot show the secret is taken as well, while members learn of it one after the other. */
  readonly mode: 'offer' | 'require'
}

export class PeerSecrets {
  readonly isRequired: boolean
  readonly #file: WatchedFile
  readonly #warnings: LogLimiter
  #stamp = ''
  #current: readonly string[] = []

  private constructor({ path, mode }: PeerSecretOptions, log: TransportLog, clock: Clock) {
    this.isRequired = mode === 'require'
    this.#file = new WatchedFile(path)
    this.#warnings = new LogLimiter(log, clock)
  }

  /** The error is for the user. */
  static open(options: PeerSecretOptions, log: TransportLog, clock: Clock): Result<PeerSecrets, string> {
    const secrets = new PeerSecrets(options, log, clock)
    const read = secrets.#read()
    return read.ok ? ok(secrets) : read
  }

  /** The newest first; at least one. */
  current(): readonly string[] {
    const read = this.#read()
    if (!read.ok) this.#warnings.warn('file', { error: read.error }, 'the changed peer secret is not used')
    return this.#current
  }

  #read(): Result<void, string> {
    try {
      const { content, stamp } = this.#file.read()
      if (stamp === this.#stamp) return ok(undefined)
      const secrets = secretsOf(content.toString('utf8'))
      const problem = refuse(secrets)
      if (problem !== undefined) return err(`--peer-secret-file: ${this.#file.path}: ${problem}`)
      this.#stamp = stamp
      this.#current = secrets
      return ok(undefined)
    } catch (error) {
      return err(`--peer-secret-file: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

/** Says nothing of what is in it. */
function refuse(secrets: readonly string[]): string | undefined {
  if (secrets.length === 0) return 'there is no secret in it'
  if (secrets.length > MAX_PEER_SECRETS) return `it has ${secrets.length} lines; at most ${MAX_PEER_SECRETS} count`
  if (secrets.some((secret) => Buffer.byteLength(secret) < MIN_PEER_SECRET_SIZE_BYTES))
    return `a secret is shorter than ${MIN_PEER_SECRET_SIZE_BYTES} bytes`
  return undefined
}
