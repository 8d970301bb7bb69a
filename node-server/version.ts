/** Version of this program: Status in the admin API and `--version` name it. */
export const VERSION = '0.1.0'

/**
 * The etcd API level that clients are told (Maintenance.Status). Clients switch features by it, so it stays below
 * those that are not there yet: progress requests on watches count from 3.5.13.
 */
export const ETCD_API_VERSION = '3.5.0'

/** What etcd calls the cluster's version, and the layout of the storage: the API level without its patch. */
export const ETCD_CLUSTER_VERSION = `${ETCD_API_VERSION.split('.').slice(0, 2).join('.')}.0`
