//! radvd: the customer's router makes its own address on the link from what is advertised there.

use std::process::Command;

use crate::lab::agents::Agents;
use crate::lab::error::Error;
use crate::lab::scenario::Provider;

impl Agents {
    pub(super) fn radvd(&self, provider: &Provider) -> Result<Command, Error> {
        let folder = self.folder_of(provider.node, "radvd")?;
        let (uplink, prefix) = (provider.uplink, provider.assigned.v6.last_link());
        let config = format!(
            "interface {uplink} {{
    AdvSendAdvert on;
    AdvOtherConfigFlag on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 4;
    prefix {prefix} {{ AdvOnLink off; AdvAutonomous on; }};
}};
"
        );
        let file = folder.join("radvd.conf");
        std::fs::write(&file, config).map_err(Error::io(format!("write {}", file.display())))?;
        let mut command = self.system_program("radvd")?;
        command.args(["--nodaemon", "--logmethod", "stderr", "--config"]);
        command.arg(&file);
        command.arg("--pidfile").arg(folder.join("radvd.pid"));
        Ok(command)
    }
}
