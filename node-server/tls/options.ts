/**
 * What the flags say about TLS on one kind of connection (clients, or peers); what files they name is read elsewhere, and
 * read again when it changes. Names follow etcd's transport.TLSInfo.
 */
import type { CredentialSource } from './credentials.ts'

export interface TlsOptions {
  /** What the first three files hold, once for all who use them; without it each reads for itself. */
  readonly credentials?: CredentialSource
  /** Of the listener; also for dialling, where no client certificate of its own is given. */
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  /** For dialling only (--peer-client-cert-file; --client-cert-file for the member's own gateway). */
  readonly clientCertFile: string | undefined
  readonly clientKeyFile: string | undefined
  /** CAs that the other side's certificate must come from. */
  readonly trustedCaFile: string | undefined
  /** Who connects must show a certificate of a trusted CA. */
  readonly clientCertAuth: boolean
  /** Who connects may show a certificate of a trusted CA, and none of another. A CA alone requires one otherwise, as in etcd. */
  readonly clientCertOptional: boolean
  /** DER, as etcd reads it; a connection with a revoked serial number is refused. */
  readonly crlFile: string | undefined
  /** Empty: any. At most one of the two lists is given. */
  readonly allowedCNs: readonly string[]
  readonly allowedHostnames: readonly string[]
  /** Make a self-signed certificate when none is given. */
  readonly autoTls: boolean
  /** Years. */
  readonly selfSignedCertValidity: number
  readonly skipClientSanVerification: boolean
  /** Go's names, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; empty: the defaults. TLS 1.3's are not selectable. */
  readonly cipherSuites: readonly string[]
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3' | undefined
}
