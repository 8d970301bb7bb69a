/** Version of this program: Status in the admin API and `--version` name it. */
export const VERSION = '0.1.0'

/**
 * The etcd API level that clients are told (Maintenance.Status). Clients switch features by it, so it stays below
 * those that are not there yet: progress requests on watches count from 3.5.13.
 */
export const ETCD_API_VERSION = '3.5.0'
