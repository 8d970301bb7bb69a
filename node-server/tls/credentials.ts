/** The key pair and the CAs of one side, as the files have them now. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { err, ok, type Result } from '../../lib/result.ts'
import { WatchedFile } from './watched-file.ts'

export interface TlsLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface CredentialFiles {
  /** Undefined for a dialer that shows no certificate. */
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  readonly caFile: string | undefined
}

export interface Credentials {
  readonly cert: Buffer | undefined
  readonly key: Buffer | undefined
  readonly ca: readonly string[] | undefined
  /** The certificate itself, without what stands behind it in the file. */
  readonly leaf: X509Certificate | undefined
}

/** How often broken files are reported, as long as somebody reads them. */
const REMINDER_MS = 60_000

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

export class CredentialSource {
  readonly #files: CredentialFiles
  readonly #cert: WatchedFile | undefined
  readonly #key: WatchedFile | undefined
  readonly #ca: WatchedFile | undefined
  readonly #log: TlsLog
  #stamps = ''
  #current: Credentials = { cert: undefined, key: undefined, ca: undefined, leaf: undefined }
  readonly #nowMs: () => number
  #problem: string | undefined
  #toldMs = 0

  private constructor(files: CredentialFiles, log: TlsLog, nowMs: () => number) {
    this.#nowMs = nowMs
    this.#files = files
    this.#cert = files.certFile === undefined ? undefined : new WatchedFile(files.certFile)
    this.#key = files.keyFile === undefined ? undefined : new WatchedFile(files.keyFile)
    this.#ca = files.caFile === undefined ? undefined : new WatchedFile(files.caFile)
    this.#log = log
  }

  /** The error is for the user: which file, and what is wrong with it. */
  static open(
    files: CredentialFiles,
    log: TlsLog,
    nowMs = (): number => performance.now(),
  ): Result<CredentialSource, string> {
    const source = new CredentialSource(files, log, nowMs)
    const first = source.#read()
    if (!first.ok) return first
    if (first.value !== undefined) source.#current = first.value
    return ok(source)
  }

  /**
   * The same object for as long as the files stay the same. While they are broken, or only half of a pair has been
   * replaced yet, it stays what it was.
   */
  current(): Credentials {
    const next = this.#read()
    if (!next.ok) this.#tell(next.error)
    else if (next.value !== undefined) {
      this.#current = next.value
      this.#problem = undefined
      this.#log.info({ ...this.#files }, 'the certificate files have changed and are used from now on')
    } else if (this.#problem !== undefined && this.#nowMs() - this.#toldMs >= REMINDER_MS) this.#tell(this.#problem)
    return this.#current
  }

  /** Why {@link current} is not what is in the files, as they were when somebody looked last. */
  get problem(): string | undefined {
    return this.#problem
  }

  #tell(error: string): void {
    this.#problem = error
    this.#toldMs = this.#nowMs()
    this.#log.warn({ ...this.#files, error }, 'the changed certificate files are not used')
  }

  /** Undefined when nothing has changed since the last time, for better or worse. */
  #read(): Result<Credentials | undefined, string> {
    const stamps: string[] = []
    const contents: (Buffer | undefined)[] = []
    let problem: string | undefined
    for (const file of [this.#cert, this.#key, this.#ca]) {
      try {
        const read = file?.read()
        stamps.push(read?.stamp ?? '')
        contents.push(read?.content)
      } catch (error) {
        problem ??= `cannot read ${file?.path}: ${error instanceof Error ? error.message : String(error)}`
        stamps.push('unreadable')
      }
    }
    const joined = stamps.join(' ')
    if (joined === this.#stamps) return ok(undefined)
    this.#stamps = joined
    if (problem !== undefined) return err(problem)
    const [cert, key, ca] = contents
    return this.#check(cert, key, ca)
  }

  #check(cert: Buffer | undefined, key: Buffer | undefined, ca: Buffer | undefined): Result<Credentials, string> {
    const { certFile, keyFile, caFile } = this.#files
    let own: X509Certificate | undefined
    if (cert !== undefined && key !== undefined) {
      const leaf = parseCertificate(cert, certFile)
      if (!leaf.ok) return leaf
      const privateKey = parseKey(key, keyFile)
      if (!privateKey.ok) return privateKey
      if (!leaf.value.checkPrivateKey(privateKey.value))
        return err(`the key in ${keyFile} does not belong to the certificate in ${certFile}`)
      this.#warnOfDates(leaf.value)
      own = leaf.value
    }
    const authorities = ca === undefined ? undefined : parseAuthorities(ca, caFile)
    if (authorities !== undefined && !authorities.ok) return authorities
    return ok({ cert, key, ca: authorities?.value, leaf: own })
  }

  /** Not refused, as in etcd: who connects decides, and clocks may be wrong. */
  #warnOfDates(leaf: X509Certificate): void {
    const now = Date.now()
    const { certFile } = this.#files
    if (now > leaf.validToDate.getTime())
      this.#log.warn({ certFile, notAfter: leaf.validTo }, 'the certificate has expired')
    if (now < leaf.validFromDate.getTime())
      this.#log.warn({ certFile, notBefore: leaf.validFrom }, 'the certificate is not valid yet')
  }
}

function parseCertificate(pem: Buffer, path: string | undefined): Result<X509Certificate, string> {
  const [first] = pem.toString('latin1').match(CERTIFICATE) ?? []
  if (first === undefined) return err(`there is no certificate in ${path} (PEM is expected)`)
  try {
    return ok(new X509Certificate(first))
  } catch (error) {
    return err(`the certificate in ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function parseKey(pem: Buffer, path: string | undefined): Result<KeyObject, string> {
  try {
    return ok(createPrivateKey(pem))
  } catch {
    // OpenSSL's words say nothing to a user, and might hold part of the key.
    return err(`there is no private key in ${path} that can be read (PEM without a passphrase is expected)`)
  }
}

function parseAuthorities(pem: Buffer, path: string | undefined): Result<readonly string[], string> {
  const all = pem.toString('latin1').match(CERTIFICATE) ?? []
  if (all.length === 0) return err(`there is no certificate in ${path} (PEM is expected)`)
  for (const each of all) {
    const parsed = parseCertificate(Buffer.from(each), path)
    if (!parsed.ok) return parsed
  }
  return ok(all)
}
