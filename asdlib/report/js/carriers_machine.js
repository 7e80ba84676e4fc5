// Another machine in the menu: its clearest fault, and its faults to choose among.
fault.value = "0";
fault.options = options[cb_obj.value];
