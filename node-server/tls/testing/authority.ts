/** A certificate authority for tests: certificates and lists of revocations as files. */
import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import type { TlsOptions } from '../options.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: Uint8Array.of(1, 0, 1),
  modulusLength: 2048,
}

export interface Issued {
  readonly certFile: string
  readonly keyFile: string
  readonly serialNumber: string
}

export interface Subject {
  /** Empty: the certificate has no subject at all. */
  readonly commonName?: string
  /** Names and addresses. */
  readonly hosts?: readonly string[]
  readonly isRsa?: boolean
  /** From now; negative: it is over already. */
  readonly validDays?: number
}

export interface Authority {
  readonly caFile: string
  /** Files `name.pem` and `name-key.pem`, replaced when they are there. */
  issue(name: string, subject?: Subject): Promise<Issued>
  /** A list in DER. */
  revoke(name: string, serialNumbers: readonly string[]): Promise<string>
}

export async function makeAuthority(directory: string, name = 'ca'): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(EC, true, ['sign', 'verify'])
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 10 * DAY_MS),
    notAfter: new Date(Date.now() + 10 * DAY_MS),
    signingAlgorithm: EC,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const caFile = join(directory, `${name}.pem`)
  await writeFile(caFile, authority.toString('pem'))
  return {
    caFile,
    issue: (file, subject = {}) => issue(directory, file, subject, authority, keys.privateKey),
    revoke: async (file, serialNumbers) => {
      const list = await x509.X509CrlGenerator.create({
        issuer: authority.subject,
        thisUpdate: new Date(),
        nextUpdate: new Date(Date.now() + DAY_MS),
        entries: serialNumbers.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
        signingAlgorithm: EC,
        signingKey: keys.privateKey,
      })
      const path = join(directory, file)
      await writeFile(path, Buffer.from(list.rawData))
      return path
    },
  }
}

async function issue(
  directory: string,
  file: string,
  subject: Subject,
  authority: x509.X509Certificate,
  signingKey: CryptoKey,
): Promise<Issued> {
  const { commonName = file, hosts = ['127.0.0.1', 'localhost'], isRsa = false, validDays = 5 } = subject
  const keys = await crypto.subtle.generateKey(isRsa ? RSA : EC, true, ['sign', 'verify'])
  const names = hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host }) as const)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: commonName === '' ? '' : `CN=${commonName}`,
    issuer: authority.subject,
    notBefore: new Date(Date.now() - 9 * DAY_MS),
    notAfter: new Date(Date.now() + validDays * DAY_MS),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: EC,
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  })
  const certFile = join(directory, `${file}.pem`)
  const keyFile = join(directory, `${file}-key.pem`)
  await writeFile(certFile, certificate.toString('pem'))
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  await writeFile(keyFile, pem('PRIVATE KEY', pkcs8))
  return { certFile, keyFile, serialNumber: certificate.serialNumber }
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

function serial(): string {
  return `4${randomBytes(8).toString('hex').slice(1)}`
}

export function tlsOptions(given: Partial<TlsOptions> = {}): TlsOptions {
  return {
    certFile: undefined,
    keyFile: undefined,
    clientCertFile: undefined,
    clientKeyFile: undefined,
    trustedCaFile: undefined,
    clientCertAuth: false,
    clientCertOptional: false,
    crlFile: undefined,
    allowedCNs: [],
    allowedHostnames: [],
    autoTls: false,
    selfSignedCertValidity: 1,
    skipClientSanVerification: false,
    cipherSuites: [],
    minVersion: 'TLSv1.2',
    maxVersion: undefined,
    ...given,
  }
}
