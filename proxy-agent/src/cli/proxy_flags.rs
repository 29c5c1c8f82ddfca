//! kube-proxy's flags: those that mean something here, and those that are taken and warned about.

use clap::Args;

/// kube-proxy's flags that mean something here. Each overrides the field of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "As kube-proxy has them")]
pub struct ProxyFlags {
    /// Whose behaviour: `nftables` (default), `iptables` or `ipvs`.
    #[arg(long, value_name = "MODE")]
    pub proxy_mode: Option<String>,
    /// This node's address, where the Node object gives none.
    #[arg(long, value_name = "ADDRESS")]
    pub bind_address: Option<String>,
    /// The pods' networks, one of each family.
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub cluster_cidr: Option<String>,
    /// How pods are recognised: `ClusterCIDR`, `NodeCIDR`, `BridgeInterface` or `InterfaceNamePrefix`.
    #[arg(long, value_name = "MODE")]
    pub detect_local_mode: Option<String>,
    /// The bridge behind which pods are.
    #[arg(long, value_name = "DEVICE")]
    pub pod_bridge_interface: Option<String>,
    /// How the names of pods' devices begin.
    #[arg(long, value_name = "PREFIX")]
    pub pod_interface_name_prefix: Option<String>,
    /// Which addresses take node ports: networks, `primary`, `localhost`, `all`.
    #[arg(long, value_name = "CIDR[,CIDR]", value_delimiter = ',')]
    pub nodeport_addresses: Option<Vec<String>>,
    /// Masquerade everything that goes to a ClusterIP.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub masquerade_all: Option<bool>,
    /// Node ports at 127.0.0.1, in mode iptables.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub iptables_localhost_nodeports: Option<bool>,
    /// Where `/healthz`, `/livez` and `/readyz` are answered; empty: nowhere.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub healthz_bind_address: Option<String>,
    /// Where `/metrics` and `/proxyMode` are answered; empty: nowhere.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_bind_address: Option<String>,
    /// Taken, and warned about.
    #[command(flatten)]
    pub without_meaning: WithoutMeaning,
}

macro_rules! without_meaning {
    ($($field:ident $flag:literal,)*) => {
        /// kube-proxy's flags that mean nothing here, so that its command line can be kept.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
        pub struct WithoutMeaning {
            $(
                #[doc = concat!("`--", $flag, "`.")]
                #[arg(long = $flag, hide = true, value_name = "VALUE", num_args = 0..=1, default_missing_value = "")]
                pub $field: Option<String>,
            )*
        }

        impl WithoutMeaning {
            /// The names of those that were given.
            pub fn given(&self) -> impl Iterator<Item = &'static str> + '_ {
                [$(($flag, self.$field.is_some())),*].into_iter().filter_map(|(flag, given)| given.then_some(flag))
            }
        }
    };
}

without_meaning! {
    bind_address_hard_fail "bind-address-hard-fail",
    cleanup "cleanup",
    config_sync_period "config-sync-period",
    conntrack_max_per_core "conntrack-max-per-core",
    conntrack_min "conntrack-min",
    conntrack_tcp_be_liberal "conntrack-tcp-be-liberal",
    conntrack_tcp_timeout_close_wait "conntrack-tcp-timeout-close-wait",
    conntrack_tcp_timeout_established "conntrack-tcp-timeout-established",
    conntrack_udp_timeout "conntrack-udp-timeout",
    conntrack_udp_timeout_stream "conntrack-udp-timeout-stream",
    feature_gates "feature-gates",
    init_only "init-only",
    iptables_masquerade_bit "iptables-masquerade-bit",
    iptables_min_sync_period "iptables-min-sync-period",
    iptables_sync_period "iptables-sync-period",
    ipvs_exclude_cidrs "ipvs-exclude-cidrs",
    ipvs_min_sync_period "ipvs-min-sync-period",
    ipvs_scheduler "ipvs-scheduler",
    ipvs_strict_arp "ipvs-strict-arp",
    ipvs_sync_period "ipvs-sync-period",
    ipvs_tcp_timeout "ipvs-tcp-timeout",
    ipvs_tcpfin_timeout "ipvs-tcpfin-timeout",
    ipvs_udp_timeout "ipvs-udp-timeout",
    kube_api_burst "kube-api-burst",
    kube_api_content_type "kube-api-content-type",
    kube_api_qps "kube-api-qps",
    logging_format "logging-format",
    oom_score_adj "oom-score-adj",
    profiling "profiling",
    show_hidden_metrics "show-hidden-metrics-for-version",
    verbosity "v",
    vmodule "vmodule",
    write_config_to "write-config-to",
}
